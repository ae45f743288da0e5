import { describe, expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import type { EventInFlight } from '../task/event-in-flight.ts'
import { DeferredEvents, type DeferOrder } from './deferred-events.ts'
import { Instances, placesOf } from './instances.fixture.ts'

/** The deferred events of one instance, and events with these keys, in the order in which it has got them. */
async function setUp(order: DeferOrder, ...keys: readonly (string | null)[]) {
  const agent = new Instances({ instances: 1, partitions: 2 })
  // They come from the partitions in turn: the first from 1, the second from 0, …
  const places = keys.map((key, i) => ({ key, partition: (i + 1) % 2 }))
  const events: EventInFlight[] = []
  for (const { key, partition } of places) {
    agent.arrive(partition, [key])
    const event = await agent.take(0)
    if (event !== undefined) events.push(event)
  }
  const deferred = new DeferredEvents(order)
  const at = (nth: number): EventInFlight => {
    const event = events[nth]
    if (event === undefined) throw new Error(`There is no event ${nth}.`)
    return event
  }
  /** Takes all that is ready, as numbers of the events. */
  const takeAll = (): readonly number[] => {
    const taken: number[] = []
    for (let event = deferred.takeReady(); event !== undefined; event = deferred.takeReady())
      taken.push(events.indexOf(event))
    return taken
  }
  return { agent, deferred, at, takeAll }
}

describe('of an agent with one instance', () => {
  test('an event that waits holds back all others, and then goes in its turn', async () => {
    const { deferred, at, takeAll } = await setUp('all', 'a', 'b', null)
    expect([deferred.any, deferred.holdsAll, deferred.hasReady()]).toEqual([false, false, false])
    deferred.putReady(at(2))
    deferred.putReady(at(0))
    expect([deferred.any, deferred.holdsAll, deferred.hasReady()]).toEqual([true, false, true])
    deferred.hold(at(1))
    expect([deferred.any, deferred.holdsAll, deferred.hasReady(), deferred.takeReady()]).toEqual([
      true,
      true,
      false,
      undefined,
    ])
    expect([deferred.release(at(2)), deferred.holdsAll]).toEqual([false, true])
    expect([deferred.release(at(1)), deferred.holdsAll, deferred.hasReady()]).toEqual([true, false, true])
    expect(takeAll()).toEqual([0, 1, 2])
    expect([deferred.release(at(1)), deferred.any, deferred.hasReady()]).toEqual([false, false, false])
  })

  test('an event that waits keeps no other of its key, for it holds back all of them', async () => {
    const { deferred, at } = await setUp('all', 'a', 'a')
    deferred.hold(at(0))
    expect(deferred.mustWait(at(1))).toBe(false)
  })
})

describe('of an agent whose instances have keys', () => {
  test('an event that waits holds back later ones of its key, in any partition, and no others', async () => {
    const { agent, deferred, at, takeAll } = await setUp('key', 'a', 'a', 'b', null, 'a')
    deferred.hold(at(0))
    expect([deferred.any, deferred.holdsAll]).toEqual([true, false])
    expect([1, 2, 3].map((nth) => deferred.mustWait(at(nth)))).toEqual([true, false, false])
    deferred.putReady(at(4))
    deferred.putReady(at(2))
    expect(deferred.hasReady()).toBe(true)
    expect(takeAll()).toEqual([2])
    expect(deferred.hasReady()).toBe(false)
    expect(agent.cursors.map((cursor) => deferred.keeps(cursor))).toEqual([true, true])
    expect(deferred.release(at(0))).toBe(true)
    expect(agent.cursors.map((cursor) => deferred.keeps(cursor))).toEqual([false, false])
    expect(takeAll()).toEqual([0, 1, 4])
    expect([deferred.any, deferred.mustWait(at(1))]).toEqual([false, false])
  })

  test('of two that wait, the last one that is released lets the key go on', async () => {
    const { agent, deferred, at, takeAll } = await setUp('key', 'a', 'b', 'a', 'b', 'a')
    const [zero, one] = agent.cursors
    if (zero === undefined || one === undefined) throw new Error('There are two partitions.')
    deferred.hold(at(0))
    expect([deferred.keeps(zero), deferred.keeps(one)]).toEqual([false, true])
    expect(deferred.mustWait(at(4))).toBe(true)
    deferred.hold(at(2))
    deferred.hold(at(1))
    expect([deferred.keeps(zero), deferred.keeps(one)]).toEqual([true, true])
    expect(deferred.mustWait(at(3))).toBe(true)
    expect(deferred.release(at(2))).toBe(true)
    expect(takeAll()).toEqual([])
    expect(deferred.release(at(1))).toBe(true)
    expect(takeAll()).toEqual([1, 3])
    expect(deferred.release(at(0))).toBe(true)
    expect(takeAll()).toEqual([0, 2, 4])
  })

  test('events without a key do not wait for each other', async () => {
    const { deferred, at, takeAll } = await setUp('key', null, null, '')
    deferred.hold(at(0))
    expect([deferred.mustWait(at(1)), deferred.mustWait(at(2))]).toEqual([false, false])
    expect([deferred.release(at(0)), takeAll()]).toEqual([true, [0]])
  })
})

test('without an order, an event that waits holds back nothing', async () => {
  const { deferred, at, takeAll } = await setUp('none', 'a', 'a')
  deferred.hold(at(0))
  expect([deferred.any, deferred.holdsAll, deferred.mustWait(at(1))]).toEqual([true, false, false])
  deferred.putReady(at(1))
  expect(takeAll()).toEqual([1])
})

test.each(['all', 'key', 'none'] as const)(
  'events of a task that sends nothing now wait here, order: %s',
  async (order) => {
    const { agent, deferred, at, takeAll } = await setUp(order, 'a', 'b', 'c')
    const [zero] = agent.tasks
    zero?.delayed()
    expect((zero?.blocked ?? 0) & NOT_NOW.delayed).not.toBe(0)
    deferred.putReady(at(1))
    expect([deferred.hasReady(), deferred.any, takeAll()]).toEqual([false, true, []])
    // A new event of it comes back as soon as it may.
    expect(deferred.mustWait(at(1))).toBe(true)
    deferred.putReady(at(2))
    expect([deferred.hasReady(), takeAll()]).toEqual([true, [2]])
    zero?.delayOver()
    expect([deferred.hasReady(), takeAll()]).toEqual([true, [1, 1]])
  },
)

test('when a task is lost its events go, and what waited behind them may go on', async () => {
  const { agent, deferred, at, takeAll } = await setUp('key', 'a', 'a', 'b', 'b', 'c', 'd', 'e', 'a')
  // Partition 1 has the even ones, which are to be lost.
  deferred.hold(at(0))
  deferred.hold(at(3))
  expect([1, 2, 7].map((nth) => deferred.mustWait(at(nth)))).toEqual([true, true, true])
  for (const nth of [5, 4, 6]) deferred.putReady(at(nth))
  expect(deferred.mustWait(at(1))).toBe(true)
  await agent.lose(1)
  deferred.purge()
  const [zero, one] = agent.cursors
  expect([zero, one].map((cursor) => cursor !== undefined && deferred.keeps(cursor))).toEqual([true, false])
  expect(deferred.release(at(0))).toBe(false)
  expect(takeAll()).toEqual([1, 1, 5, 7])
  expect(deferred.release(at(3))).toBe(true)
  expect(placesOf([deferred.takeReady() ?? at(0)])).toEqual(['0@1'])
  expect(deferred.any).toBe(false)
})

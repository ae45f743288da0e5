import { endOfTurn } from '@millrace/core'
import { describe, expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import { Instances, type InstancesOptions, placesOf } from './instances.fixture.ts'

const KINDS: readonly { readonly what: string; readonly options: InstancesOptions }[] = [
  { what: 'in order', options: { instances: 1 } },
  { what: 'in any order', options: { instances: 2, ordering: 'none' } },
  { what: 'by key', options: { instances: 2 } },
]

function times(count: number, key: string | null = null): (string | null)[] {
  return Array.from({ length: count }, () => key)
}

describe.each(KINDS)('events that are dispatched $what', ({ options }) => {
  test('stay where they are in the turn after the lease was lost', async () => {
    const agent = new Instances(options)
    agent.arrive(0, times(40))
    agent.queue(0).take()?.finish()
    await endOfTurn()
    agent.queue(0).take()?.finish()
    await endOfTurn()
    agent.worker.lease.end()
    expect(agent.queue(0).take()).toBeUndefined()
    // Even if they are the first ones that the agent asks for.
    const another = new Instances(options)
    another.worker.handOut.refresh()
    await endOfTurn()
    another.arrive(0, times(4))
    another.worker.lease.end()
    expect(another.queue(0).take()).toBeUndefined()
  })

  test('stay where they are as soon as the worker or their task hands out nothing', () => {
    const agent = new Instances(options)
    agent.arrive(0, times(40))
    const { handOut } = agent.worker
    const event = agent.queue(0).take()
    expect(event?.offset).toBe(0)
    for (const bit of [NOT_NOW.rebalance, NOT_NOW.stop, NOT_NOW.collector, NOT_NOW.rows]) {
      handOut.block(bit)
      expect([agent.queue(0).take(), agent.queue(0).take()]).toEqual([undefined, undefined])
      handOut.unblock(bit)
    }
    event?.requeue()
    handOut.block(NOT_NOW.rebalance)
    expect(agent.queue(0).take()).toBeUndefined()
    handOut.unblock(NOT_NOW.rebalance)
    const [task] = agent.tasks
    task?.delayed()
    expect(agent.queue(0).take()).toBeUndefined()
    task?.delayOver()
    expect(agent.queue(0).take()?.offset).toBe(0)
  })

  test('go out in one turn of the event loop as far as few chunks reach', () => {
    const agent = new Instances(options)
    agent.arrive(0, times(400, 'a'))
    const taken: unknown[] = []
    for (const queue of agent.subscription.queues)
      for (let event = queue.take(); event !== undefined; event = queue.take()) taken.push(event.finish())
    expect(taken).toHaveLength(400)
  })
})

test('a chunk of one partition is followed by one of the next', async () => {
  const agent = new Instances({ instances: 1, partitions: 3 })
  for (const partition of [0, 1, 2]) agent.arrive(partition, times(600))
  const runs: { partition: number; count: number }[] = []
  for (const { partition } of await agent.takeAll(0)) {
    const last = runs.at(-1)
    if (last?.partition === partition) last.count++
    else runs.push({ partition, count: 1 })
  }
  const [full, rest] = [256, 600 - 2 * 256]
  expect(runs.map(({ count }) => count)).toEqual([full, full, full, full, full, full, rest, rest, rest])
  expect(runs.map(({ partition }) => partition)).toEqual([1, 2, 0, 1, 2, 0, 1, 2, 0])
})

test('within a chunk, a task that cannot be committed and a partition at its bound hand out nothing more', async () => {
  const agent = new Instances({ instances: 1, partitions: 2 })
  agent.arrive(0, times(3))
  agent.arrive(1, times(3))
  expect(placesOf(await agent.takeAll(0, 1))).toEqual(['1@0'])
  agent.tasks[1]?.holdForCommit(true)
  expect(placesOf(await agent.takeAll(0, 1))).toEqual(['0@0'])
  agent.cursor(0).defer(true)
  expect([agent.queue(0).take(), agent.queue(0).hasNext]).toEqual([undefined, false])
  agent.tasks[1]?.holdForCommit(false)
  expect(agent.queue(0).hasNext).toBe(true)
  expect(placesOf(await agent.takeAll(0))).toEqual(['1@1', '1@2'])
})

test('instances without an order are busy only if none of them waits', async () => {
  const agent = new Instances({ instances: 2, ordering: 'none' })
  const why = (): string | undefined => agent.tasks[0]?.whyNot({ topic: 'in', partition: 0 }, 'a')
  agent.arrive(0, times(1))
  const event = await agent.take(0)
  expect([await agent.take(1), why()]).toEqual([undefined, expect.stringMatching(/^empty: [^;]+$/)])
  void agent.queue(1).ready()
  agent.worker.handOut.block(NOT_NOW.rebalance)
  agent.arrive(0, times(1))
  expect(why()).toMatch(/^rebalance: [^;]+$/)
  agent.worker.handOut.unblock(NOT_NOW.rebalance)
  expect([agent.queue(1).isWaiting, why()]).toEqual([false, expect.stringMatching(/^busy: [^;]+$/)])
  event?.finish()
})

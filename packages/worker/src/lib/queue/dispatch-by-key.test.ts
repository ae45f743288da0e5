import { partitionForKey } from '@millrace/core/driver'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NOT_NOW } from '../environment/not-now.ts'
import type { EventInFlight } from '../task/event-in-flight.ts'
import { Instances, placesOf } from './instances.fixture.ts'

const PARTITIONS = 3
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const

function times(count: number, key: string | null): (string | null)[] {
  return Array.from({ length: count }, () => key)
}

/** A key that goes to one of two instances, and one that goes to the other. */
async function keysOf(): Promise<{ readonly zero: string; readonly one: string }> {
  const found = new Map<number, string>()
  const agent = new Instances({ instances: 2 })
  agent.arrive(0, KEYS)
  for (const instance of [0, 1])
    for (const { offset } of await agent.takeAll(instance)) found.set(instance, KEYS[offset] ?? '')
  const [zero, one] = [found.get(0), found.get(1)]
  if (zero === undefined || one === undefined) throw new Error('All keys go to one instance.')
  return { zero, one }
}

type Step =
  | { readonly kind: 'arrive'; readonly partition: number; readonly keys: readonly string[] }
  | { readonly kind: 'take'; readonly instance: number; readonly most: number }
  | { readonly kind: 'lose'; readonly partition: number }

const aPartition = fc.nat({ max: PARTITIONS - 1 })
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('arrive' as const),
      partition: aPartition,
      keys: fc.array(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 30, size: 'max' }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      instance: fc.nat({ max: 2 }),
      most: fc.nat({ max: 12 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), partition: aPartition }) },
)

/** An agent under random steps, with what was promised about it. */
class Checked {
  readonly agent: Instances
  readonly #maxSorted: number
  readonly #taken: { readonly event: EventInFlight; readonly instance: number }[] = []
  /** Instances that got nothing, and the records that had been sorted and not taken then. */
  readonly #refused: { readonly instance: number; readonly waiting: readonly string[] }[] = []
  readonly #keys: string[][] = Array.from({ length: PARTITIONS }, () => [])
  readonly #takenPlaces = new Set<string>()

  constructor(maxSorted: number) {
    this.#maxSorted = maxSorted
    this.agent = new Instances({ instances: 3, partitions: PARTITIONS, maxSorted })
  }

  async step(step: Step): Promise<void> {
    const { agent } = this
    if (step.kind === 'arrive') {
      if (agent.tasks[step.partition]?.closed !== false) return
      agent.arrive(step.partition, step.keys)
      this.#keys[step.partition]?.push(...step.keys)
    } else if (step.kind === 'lose') await agent.lose(step.partition)
    else for (let n = 0; n < step.most; n++) if (!(await this.#take(step.instance))) break
    const waiting = this.#waiting()
    expect(waiting.length).toBeLessThanOrEqual(this.#maxSorted)
  }

  /** All that has arrived and was not lost was handed out once, in order of its key, and each key went one way. */
  async end(): Promise<void> {
    for (let got = true; got;) {
      got = false
      for (const instance of [0, 1, 2]) while (await this.#take(instance)) got = true
    }
    const { tasks } = this.agent
    const here = this.#taken.filter(({ event }) => !event.task.closed)
    const arrived = this.#keys.flatMap((keys, partition) => (tasks[partition]?.closed === true ? [] : keys))
    expect(here.length).toBe(arrived.length)
    const last = new Map<string, number>()
    const instances = new Map<string, number>()
    for (const { event, instance } of this.#taken) {
      const key = String(event.record.key)
      const place = `${event.partition} ${key}`
      expect(event.offset).toBeGreaterThan(last.get(place) ?? -1)
      last.set(place, event.offset)
      expect(instance).toBe(instances.get(key) ?? instance)
      instances.set(key, instance)
    }
    // Nobody was refused what was sorted for him.
    for (const { instance, waiting } of this.#refused)
      expect(waiting.filter((key) => instances.get(key) === instance)).toEqual([])
  }

  async #take(instance: number): Promise<boolean> {
    const event = await this.agent.take(instance)
    if (event === undefined) {
      const waiting = this.#waiting()
      this.#refused.push({ instance, waiting })
      // An instance gets nothing because there is nothing more, or because the bound is reached.
      if (waiting.length < this.#maxSorted)
        for (const { task, hasMore } of this.agent.cursors) expect(hasMore && !task.closed).toBe(false)
      return false
    }
    expect(event.task.closed).toBe(false)
    event.finish()
    this.#taken.push({ event, instance })
    for (const place of placesOf([event])) this.#takenPlaces.add(place)
    return true
  }

  /** Keys of the records that were sorted and not taken. */
  #waiting(): readonly string[] {
    return this.agent.cursors.flatMap(({ task, partition, tracker }) =>
      task.closed
        ? []
        : (this.#keys[partition] ?? [])
            .slice(0, tracker.handed)
            .filter((_, offset) => !this.#takenPlaces.has(`${partition}@${offset}`)),
    )
  }
}

test('each key goes to one instance and keeps its order, nothing is passed over, and the sorted events have a bound', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 3, max: 20 }),
      fc.array(aStep, { minLength: 5, maxLength: 40, size: 'max' }),
      async (maxSorted, steps) => {
        const checked = new Checked(maxSorted)
        for (const step of steps) await checked.step(step)
        await checked.end()
      },
    ),
    { numRuns: 50 },
  )
})

test('the keys of a partition are spread over as many instances as there are partitions', async () => {
  const count = 4
  const agent = new Instances({ instances: count, partitions: count })
  const keys = Array.from({ length: 400 }, (_, i) => `key ${i}`).filter(
    (key) => partitionForKey(Buffer.from(key), count) === 2,
  )
  agent.arrive(2, keys)
  for (let instance = 0; instance < count; instance++)
    expect((await agent.takeAll(instance)).length).toBeGreaterThan(keys.length / count / 2)
})

test('records without a key go to the instances in turn', async () => {
  const agent = new Instances({ instances: 3 })
  agent.arrive(0, times(7, null))
  const taken = [await agent.takeAll(0), await agent.takeAll(1), await agent.takeAll(2)]
  expect(taken.map((events) => events.map(({ offset }) => offset))).toEqual([
    [0, 3, 6],
    [1, 4],
    [2, 5],
  ])
})

test('an instance takes its events from the partitions in turn, and no two instances begin at the same one', async () => {
  const agent = new Instances({ instances: 3, partitions: 3 })
  for (const partition of [0, 1, 2]) agent.arrive(partition, times(9, null))
  for (const instance of [0, 1, 2]) {
    const partitions = (await agent.takeAll(instance)).map(({ partition }) => partition)
    expect(partitions).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((nth) => (instance + nth) % 3))
  }
})

test('partitions are sorted in chunks, so that a long one does not keep the others back', async () => {
  const { zero, one } = await keysOf()
  const agent = new Instances({ instances: 2, partitions: 2 })
  agent.worker.handOut.block(NOT_NOW.rebalance)
  agent.arrive(1, [...times(600, zero), one])
  agent.arrive(0, times(300, zero))
  agent.worker.handOut.blocked = 0
  expect(agent.queue(0).take()?.offset).toBe(0)
  expect([agent.sortedOf(0), agent.sortedOf(1)]).toEqual([0, 256])
  // The other instance has to look through all of both.
  expect(agent.queue(1).take()?.offset).toBe(600)
  expect([agent.sortedOf(0), agent.sortedOf(1)]).toEqual([300, 601])
})

test('an instance takes many events in order while others arrive', async () => {
  const { zero } = await keysOf()
  const agent = new Instances({ instances: 2 })
  const offsets: number[] = []
  for (let wave = 0; wave < 40; wave++) {
    agent.arrive(0, times(10, zero))
    for (const { offset } of await agent.takeAll(0, wave < 20 ? 2 : 18)) offsets.push(offset)
  }
  expect(offsets).toEqual(Array.from({ length: 400 }, (_, offset) => offset))
  expect(await agent.take(0)).toBeUndefined()
})

describe('at the bound of sorted events', () => {
  test('one that waits is woken once half of them are taken, with no further call', async () => {
    const { zero, one } = await keysOf()
    const agent = new Instances({ instances: 2, maxSorted: 8 })
    let woken = false
    void agent
      .queue(1)
      .ready()
      .then(() => (woken = true))
    agent.arrive(0, [...times(10, zero), one])
    expect(agent.sortedOf(0)).toBe(8)
    expect(agent.queue(1).take()).toBeUndefined()
    await agent.takeAll(0, 4)
    expect([woken, agent.sortedOf(0)]).toEqual([false, 8])
    await agent.takeAll(0, 1)
    await Promise.resolve()
    expect([woken, agent.sortedOf(0)]).toEqual([true, 11])
    expect(agent.queue(1).take()?.offset).toBe(10)
    // There is nothing more to sort, so the rest is taken without another look.
    expect((await agent.takeAll(0)).length).toBe(5)
  })

  test('the events of lost tasks leave room for others', async () => {
    const { zero, one } = await keysOf()
    const agent = new Instances({ instances: 2, partitions: 2, maxSorted: 8 })
    agent.arrive(0, times(20, zero))
    agent.arrive(1, times(3, one))
    expect([agent.sortedOf(0), agent.sortedOf(1)]).toEqual([8, 0])
    await agent.lose(0)
    expect(placesOf(await agent.takeAll(1))).toEqual(['1@0', '1@1', '1@2'])
    expect(await agent.take(0)).toBeUndefined()
  })

  test('there is room for an event of each instance, however small the bound', async () => {
    const agent = new Instances({ instances: 4, maxSorted: 1 })
    agent.arrive(0, times(6, null))
    expect(agent.sortedOf(0)).toBe(4)
  })
})

test('what is sorted for an instance waits while its task sends nothing, and is taken while it only takes no new records', async () => {
  const { zero } = await keysOf()
  const agent = new Instances({ instances: 2, partitions: 2 })
  agent.arrive(0, times(3, zero))
  agent.arrive(1, times(1, zero))
  const [task] = agent.tasks
  task?.delayed()
  expect(agent.queue(0).hasNext).toBe(true)
  expect(placesOf(await agent.takeAll(0))).toEqual(['1@0'])
  expect(agent.queue(0).hasNext).toBe(false)
  task?.delayOver()
  task?.holdForCommit(true)
  agent.arrive(0, times(2, zero))
  expect(agent.queue(0).hasNext).toBe(true)
  expect(agent.queue(1).hasNext).toBe(false)
  expect(placesOf(await agent.takeAll(0))).toEqual(['0@0', '0@1', '0@2'])
  task?.holdForCommit(false)
  agent.worker.handOut.wake()
  expect(placesOf(await agent.takeAll(0))).toEqual(['0@3', '0@4'])
})

test('arriving records wake the instances that they are for, and no others', async () => {
  const { zero, one } = await keysOf()
  const agent = new Instances({ instances: 2 })
  const woken: number[] = []
  for (const instance of [0, 1])
    void agent
      .queue(instance)
      .ready()
      .then(() => woken.push(instance))
  agent.arrive(0, [one, one])
  await Promise.resolve()
  expect([woken, agent.queue(0).isWaiting, agent.queue(1).isWaiting]).toEqual([[1], true, false])
  agent.arrive(0, [zero])
  await Promise.resolve()
  expect(woken).toEqual([1, 0])
})

test('an instance that looks for its own event wakes another one whose events it meets', async () => {
  const { zero, one } = await keysOf()
  const agent = new Instances({ instances: 2 })
  agent.worker.handOut.block(NOT_NOW.rebalance)
  agent.arrive(0, [one, zero])
  let woken = false
  void agent
    .queue(1)
    .ready()
    .then(() => (woken = true))
  agent.worker.handOut.blocked = 0
  expect(agent.queue(0).take()?.offset).toBe(1)
  await Promise.resolve()
  expect(woken).toBe(true)
})

test('nothing is sorted while the worker hands out nothing, and no more than may be uncommitted', async () => {
  const agent = new Instances({ instances: 2 })
  agent.worker.lease.end()
  agent.arrive(0, times(4, null))
  expect([agent.queue(0).take(), agent.sortedOf(0)]).toEqual([undefined, 0])
  const bounded = new Instances({ instances: 2, settings: { maxUncommitted: 300 } })
  bounded.arrive(0, times(900, null))
  // The bound is looked at before each chunk.
  expect(bounded.sortedOf(0)).toBe(512)
})

describe('a partition waits for an instance', () => {
  test('if events of it are sorted for one at work, or more has arrived and there is no room to sort it', async () => {
    const { zero, one } = await keysOf()
    const agent = new Instances({ instances: 2, partitions: 2, maxSorted: 4 })
    const why = (partition: number): string | undefined =>
      agent.tasks[partition]?.whyNot({ topic: 'in', partition }, 'a')?.split(':')[0]
    agent.arrive(0, [zero, one])
    const event = await agent.take(0)
    void agent.queue(1).ready()
    // The other instance has not taken its event, but it is not at work either.
    expect([why(0), why(1)]).toEqual(['busy', 'empty'])
    agent.arrive(0, [zero])
    expect(why(0)).toBe('busy')
    event?.finish()
    expect(why(0)).not.toBe('busy')
    const next = await agent.take(0)
    agent.arrive(1, times(9, zero))
    expect(why(1)).toBe('busy')
    next?.finish()
  })

  test('only while some of it has arrived that nobody can sort', async () => {
    const { zero, one } = await keysOf()
    const agent = new Instances({ instances: 2, partitions: 2, maxSorted: 4 })
    agent.arrive(0, times(5, zero))
    const event = await agent.take(0)
    expect(event?.offset).toBe(0)
    agent.arrive(0, times(3, zero))
    expect(agent.tasks[1]?.whyNot({ topic: 'in', partition: 1 }, 'a')).toMatch(/^empty: [^;]+$/)
    agent.arrive(1, [one])
    expect([agent.sortedOf(1), agent.tasks[1]?.whyNot({ topic: 'in', partition: 1 }, 'a')]).toEqual([
      0,
      expect.stringMatching(/^busy: [^;]+$/),
    ])
    event?.finish()
    const idle = new Instances({ instances: 2, partitions: 2 })
    idle.arrive(0, [zero])
    const only = await idle.take(0)
    idle.worker.handOut.block(NOT_NOW.rebalance)
    idle.arrive(1, [one])
    expect(idle.tasks[1]?.whyNot({ topic: 'in', partition: 1 }, 'a')).toMatch(/^rebalance: [^;]+$/)
    only?.finish()
  })
})

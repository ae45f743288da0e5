import { json } from '@millrace/core'
import type { StoreDriver } from '@millrace/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memoryStore } from '@millrace/state'
import { SmallEvent } from './fixtures/small-event.fixture.ts'
import { SmallTask } from './fixtures/small-task.fixture.ts'
import { SmallWorld } from './fixtures/small-world.fixture.ts'
import { createTable } from './table.ts'

const KEYS = ['a', 'b', 'c', 'd', 'ä', ''] as const
const EVENTS = 4

/** What an event does to a key. */
type Touch =
  | { readonly type: 'get' | 'has' | 'delete' | 'update'; readonly event: number; readonly key: string }
  | { readonly type: 'set'; readonly event: number; readonly key: string; readonly n: number }

type Step =
  | Touch
  | { readonly type: 'finish' | 'fail'; readonly event: number }
  | { readonly type: 'scan'; readonly event: number }
  | { readonly type: 'outside'; readonly key: string }
  | { readonly type: 'committed'; readonly key: string }
  | { readonly type: 'commit' }
  | { readonly type: 'cutEnds'; readonly ok: boolean }
  | { readonly type: 'reopen' }

const event = fc.nat({ max: EVENTS - 1 })
const key = fc.constantFrom(...KEYS)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ type: fc.constantFrom('get' as const, 'has' as const, 'delete' as const), event, key }),
  },
  { weight: 10, arbitrary: fc.record({ type: fc.constant('update' as const), event, key }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('set' as const), event, key, n: fc.integer() }) },
  {
    weight: 10,
    arbitrary: fc.record({ type: fc.constantFrom('finish' as const, 'finish' as const, 'fail' as const), event }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('scan' as const), event }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('outside' as const), key }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('committed' as const), key }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('commit' as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('cutEnds' as const), ok: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reopen' as const) }) },
)

interface ModelEvent {
  scope: SmallEvent
  pending: Map<string, number | undefined>
}

/** Plain maps that should say the same as a table: committed, finished, and what each event has pending. */
class Model {
  committed = new Map<string, number>()
  finished = new Map<string, number>()
  taken: Map<string, number> | undefined

  holder(events: readonly ModelEvent[], key: string): ModelEvent | undefined {
    return events.find(({ pending }) => pending.has(key))
  }

  seenBy({ pending }: ModelEvent, key: string): number | undefined {
    return pending.has(key) ? pending.get(key) : this.finished.get(key)
  }
}

async function run(steps: readonly Step[], cacheBytes: number): Promise<void> {
  using world = new SmallWorld()
  const store: StoreDriver = memoryStore()
  const table = createTable(world.deps, 'counts', {
    key: 'string',
    value: json<{ n: number }>(),
    default: () => ({ n: 0 }),
  })
  const task = new SmallTask({ store, partition: 0, partitions: 1, cacheBytes, freeze: true })
  await task.add(table)
  world.worker.tasks.push(task)
  const model = new Model()
  let offset = 0
  const begin = (): ModelEvent => ({ scope: new SmallEvent(task, offset++), pending: new Map() })
  const events = Array.from({ length: EVENTS }, begin)

  for (const step of steps) {
    switch (step.type) {
      case 'commit':
        if (model.taken !== undefined) break
        task.beginCommit()
        model.taken = new Map(model.finished)
        break
      case 'cutEnds':
        if (model.taken !== undefined && step.ok) model.committed = model.taken
        model.taken = undefined
        await task.endCommit(step.ok)
        break
      case 'reopen':
        for (const index of events.keys()) give(index, false)
        task.reopen()
        model.taken = undefined
        model.finished = new Map(model.committed)
        break
      case 'outside':
        expect(table.get(step.key)).toEqual({ n: model.finished.get(step.key) ?? 0 })
        expect(table.has(step.key)).toBe(model.finished.has(step.key))
        break
      case 'committed':
        expect(table.get(step.key, { committed: true })).toEqual({ n: model.committed.get(step.key) ?? 0 })
        break
      case 'finish':
      case 'fail':
        give(step.event, step.type === 'finish')
        break
      case 'scan':
        await scan(step.event)
        break
      default:
        touch(step)
    }
    expect(table.size).toBe(model.finished.size)
    // What the worker counts is what waits to be stored, and nothing besides.
    const dirtyBytes = task.open(table)?.dirtyBytes ?? 0
    if (model.taken === undefined) expect(task.changedBytes).toBe(dirtyBytes)
    else expect(task.changedBytes).toBeGreaterThanOrEqual(dirtyBytes)
  }

  /** Ends an event and takes the next one. */
  function give(index: number, finish: boolean): void {
    const current = events[index]
    if (current === undefined) return
    if (finish) {
      current.scope.finish()
      for (const [key, n] of current.pending) {
        if (n === undefined) model.finished.delete(key)
        else model.finished.set(key, n)
      }
    } else current.scope.fail()
    events[index] = begin()
  }

  async function scan(index: number): Promise<void> {
    const current = events[index]
    if (current === undefined) return
    const found = new Map<string, number>()
    for await (const [key, { n }] of world.inAgent(current.scope, () => table.entries())) {
      expect(found.has(key)).toBe(false)
      found.set(key, n)
    }
    const wanted = new Map(
      KEYS.map((key) => [key, model.seenBy(current, key)] as const).filter(([, n]) => n !== undefined),
    )
    expect(new Map([...found].sort())).toEqual(new Map([...wanted].sort()))
    const order = [...found.keys()].map((key) => Buffer.from(key))
    expect(order).toEqual([...order].sort(Buffer.compare))
  }

  function touch(step: Touch): void {
    const current = events[step.event]
    if (current === undefined) return
    const { scope, pending } = current
    const holder = model.holder(events, step.key)
    if (holder !== undefined && holder !== current) {
      expect(() => world.inAgent(scope, () => perform(step))).toThrow(expect.objectContaining({ code: 'KEY_CONFLICT' }))
      expect(scope.isDeferred).toBe(true)
      give(step.event, false)
      return
    }
    const before = model.seenBy(current, step.key)
    const result = world.inAgent(scope, () => perform(step))
    switch (step.type) {
      case 'get':
        expect(result).toEqual({ n: before ?? 0 })
        break
      case 'update':
        expect(result).toEqual({ n: (before ?? 0) + 1 })
        pending.set(step.key, (before ?? 0) + 1)
        break
      case 'set':
        pending.set(step.key, step.n)
        break
      case 'has':
      case 'delete':
        expect(result).toBe(before !== undefined)
        if (step.type === 'delete' && before !== undefined) pending.set(step.key, undefined)
    }
  }

  function perform(step: Touch): unknown {
    switch (step.type) {
      case 'get':
        return table.get(step.key)
      case 'has':
        return table.has(step.key)
      case 'delete':
        return table.delete(step.key)
      case 'set':
        return table.set(step.key, { n: step.n })
      case 'update':
        return table.update(step.key, ({ n }) => ({ n: n + 1 }))
    }
  }

  // The rows of the commit under way, then those changed meanwhile.
  await task.endCommit(true)
  task.beginCommit()
  await task.endCommit(true)
  expect(task.changedBytes).toBe(0)
  for (const { scope } of events) scope.fail()
  task.reopen()
  for (const key of KEYS) expect(table.get(key).n).toBe(model.finished.get(key) ?? 0)
}

test.each([0, 600, 1_000_000])(
  'events, commits and failures in any order, as maps would have it; cache of %i bytes',
  async (cacheBytes) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => run(steps, cacheBytes)),
      { numRuns: 250 },
    )
  },
)

test('a key whose entry leaves the cache while update runs is not lost', async () => {
  const world = new SmallWorld()
  const table = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
  const task = new SmallTask({ store: memoryStore(), partition: 0, partitions: 1, cacheBytes: 0, freeze: false })
  await task.add(table)
  world.worker.tasks.push(task)
  const event = new SmallEvent(task, 0)
  world.inAgent(event, () => {
    table.update('mine', (n) => {
      for (let i = 0; i < 1000; i++) table.get(`other ${i}`)
      return n + 1
    })
    table.update('mine', (n) => n + 1)
  })
  event.finish()
  expect(table.get('mine')).toBe(2)
})

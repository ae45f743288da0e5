import { json } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ModelWorker } from './fixtures/model-worker.fixture.ts'
import { TableWorld, withCache } from './fixtures/table-world.fixture.ts'
import { createTable } from './create-table.ts'
import { type Table } from './table.ts'

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

interface Count {
  readonly n: number
}

async function run(
  steps: readonly Step[],
  model: ModelWorker<number>,
  table: Table<string, Count, Count>,
): Promise<void> {
  const { world } = model
  await model.clear(() => KEYS.forEach((key) => table.delete(key)))

  for (const step of steps) {
    switch (step.type) {
      case 'commit':
        await model.beginCommit()
        break
      case 'cutEnds':
        await model.endCommit(step.ok)
        break
      case 'reopen':
        await model.reopen()
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
        await model.end(step.event, step.type === 'finish')
        break
      case 'scan':
        await scan(step.event)
        break
      default:
        await touch(step)
    }
    expect(table.size).toBe(model.finished.size)
    // What the worker counts is what waits to be stored, and nothing besides.
    const dirtyBytes = table.state(0)?.dirtyBytes ?? 0
    if (model.taken === undefined) expect(model.changedBytes).toBe(dirtyBytes)
    else expect(model.changedBytes).toBeGreaterThanOrEqual(dirtyBytes)
  }

  async function scan(index: number): Promise<void> {
    const current = model.events[index]
    if (current === undefined) return
    current.hasReadAll = true
    const found = new Map<string, number>()
    for await (const [key, { n }] of world.inAgent(current.event, () => table.entries())) {
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

  async function touch(step: Touch): Promise<void> {
    const current = model.events[step.event]
    if (current === undefined) return
    const { pending, read } = current
    const before = model.seenBy(current, step.key)
    const done = await model.touch(step.event, [step.key], () => perform(step))
    if (done === undefined) return
    const { result } = done
    const isOwn = pending.has(step.key)
    switch (step.type) {
      case 'get':
        expect(result).toEqual({ n: before ?? 0 })
        break
      case 'update':
        expect(result).toEqual({ n: (before ?? 0) + 1 })
        pending.set(step.key, (before ?? 0) + 1)
        return
      case 'set':
        pending.set(step.key, step.n)
        return
      case 'has':
      case 'delete':
        expect(result).toBe(before !== undefined)
        if (step.type === 'delete' && before !== undefined) return void pending.set(step.key, undefined)
    }
    if (!isOwn) read.add(step.key)
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
  await model.endCommit(true)
  await model.commit()
  expect(model.changedBytes).toBe(0)
  const { finished } = model
  await model.reopen()
  for (const key of KEYS) expect(table.get(key).n).toBe(finished.get(key) ?? 0)
}

test.each([0, 600, 1_000_000])(
  'events, commits and failures in any order, as maps would have it; cache of %i bytes',
  async (cacheBytes) => {
    const world = new TableWorld()
    const table = createTable(world.deps, 'counts', { key: 'string', value: json<Count>(), default: () => ({ n: 0 }) })
    const model = new ModelWorker<number>(world, table, { events: EVENTS, cacheBytes })
    await model.start()
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => run(steps, model, table)),
      { numRuns: 50 },
    )
  },
)

test('a key whose entry leaves the cache while update runs is not lost', async () => {
  const world = new TableWorld()
  const table = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
  withCache(table, 0)
  const worker = await world.start([table])
  const event = await worker.event()
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

import { json } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ModelWorker } from './fixtures/model-worker.fixture.ts'
import { TableWorld } from './fixtures/table-world.fixture.ts'
import { createSetTable, type SetTable } from './set-table.ts'

// Keys and elements that would run into each other if rows were only joined together.
const KEYS = ['a', 'ab', '', 'b', '\u0000'] as const
const ELEMENTS = ['', 'b', 'bb', 'a', '\uffff'] as const
const EVENTS = 3

/** What an event does to a set. */
interface Touch {
  readonly type: 'add' | 'delete' | 'has' | 'values'
  readonly event: number
  readonly key: string
  readonly element: string
}

type Step =
  | Touch
  | { readonly type: 'end'; readonly finish: boolean; readonly event: number }
  | { readonly type: 'commit'; readonly ok: boolean }

const touching: fc.Arbitrary<Touch> = fc.record({
  type: fc.constantFrom('add' as const, 'add' as const, 'delete' as const, 'has' as const, 'values' as const),
  event: fc.nat({ max: EVENTS - 1 }),
  key: fc.constantFrom(...KEYS),
  element: fc.constantFrom(...ELEMENTS),
})
const ending = fc.record({
  type: fc.constant('end' as const),
  finish: fc.boolean(),
  event: fc.nat({ max: EVENTS - 1 }),
})
const committing = fc.record({ type: fc.constant('commit' as const), ok: fc.boolean() })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof({ weight: 8, arbitrary: touching }, { weight: 3, arbitrary: ending }, { weight: 1, arbitrary: committing }),
  { maxLength: 80, size: 'max' },
)

const rowOf = (key: string, element: string): string => JSON.stringify([key, element])

async function run(
  operations: readonly Step[],
  model: ModelWorker<true>,
  table: SetTable<string, string>,
): Promise<void> {
  await model.clear(() => {
    for (const key of KEYS) for (const element of ELEMENTS) table.delete(key, element)
  })
  for (const step of operations) {
    if (step.type === 'commit') {
      await model.beginCommit()
      await model.endCommit(step.ok)
    } else if (step.type === 'end') await model.end(step.event, step.finish)
    else await touch(step)
    expect(table.size).toBe(model.finished.size)
  }
  for (const key of KEYS)
    expect(table.values(key)).toEqual(ELEMENTS.filter((one) => model.finished.has(rowOf(key, one))).sort())
  const all: string[] = []
  for await (const [key, element] of table.entries()) all.push(rowOf(key, element))
  expect(all.sort()).toEqual([...model.finished.keys()].sort())

  async function touch({ type, event, key, element }: Touch): Promise<void> {
    const current = model.events[event]
    if (current === undefined) return
    const seen = (one: string): boolean => model.seenBy(current, rowOf(key, one)) === true
    const there: readonly string[] = ELEMENTS.filter(seen).sort()
    const touched: readonly string[] = type === 'values' ? ELEMENTS : [element]
    const rows = touched.map((one) => rowOf(key, one))
    const done = await model.touch(event, rows, () =>
      type === 'values' ? table.values(key) : table[type](key, element),
    )
    if (done === undefined) return
    const wasThere = there.includes(element)
    expect(done.result).toEqual(type === 'values' ? there : type === 'add' ? !wasThere : wasThere)
    if (type === 'add' && !wasThere) current.pending.set(rowOf(key, element), true)
    else if (type === 'delete' && wasThere) current.pending.set(rowOf(key, element), undefined)
    else for (const row of rows) if (!current.pending.has(row)) current.read.add(row)
  }
}

test.each([0, 700, 1_000_000])(
  'adding and deleting in any order, as sets would have it; cache of %i bytes',
  async (cacheBytes) => {
    const world = new TableWorld()
    const table = createSetTable(world.deps, 'sets', { key: 'string', value: 'string' })
    const model = new ModelWorker<true>(world, table, { events: EVENTS, cacheBytes })
    await model.start()
    await fc.assert(
      fc.asyncProperty(steps, (operations) => run(operations, model, table)),
      { numRuns: 50 },
    )
  },
)

test('the key alone decides the partition; elements are told apart by their bytes', async () => {
  const world = new TableWorld()
  const table = createSetTable(world.deps, 'sets', { key: 'string', value: json<{ a: number; b?: number }>() })
  const worker = await world.start([table], { partitions: 4 })
  const [mine, other] = [2, 3].map(
    (partition) =>
      Array.from({ length: 99 }, (_, i) => `k${i}`).find((key) => partitionForKey(Buffer.from(key), 4) === partition) ??
      '',
  )
  if (mine === undefined || other === undefined) throw new Error('Among 99 keys each of 4 partitions has one.')
  const event = await worker.event(2)
  world.inAgent(event, () => {
    expect(table.add(mine, { a: 1, b: 2 })).toBe(true)
    expect(table.add(mine, { b: 2, a: 1 })).toBe(false)
    expect(() => table.add(other, { a: 1 })).toThrow(
      expect.objectContaining({ code: 'KEY_NOT_OWNED', detail: expect.stringContaining('set table "sets"') }),
    )
    expect(() => table.values(other)).toThrow(expect.objectContaining({ code: 'KEY_NOT_OWNED' }))
  })
  event.finish()
  expect(table.values(mine)).toEqual([{ a: 1, b: 2 }])
  expect(table.lookup(mine)).toEqual([{ a: 1, b: 2 }])
  expect(table.partitionOf(table.parseKey(mine))).toBe(2)
  expect(() => table.add(mine, { a: 2 })).toThrow(expect.objectContaining({ code: 'WRITE_OUTSIDE_AGENT' }))
  const second = await world.start([table], { partitions: 4 })
  const away = [mine, other].filter((key) => {
    const partition = table.partitionOf(table.parseKey(key)) ?? 0
    return second.engine.worker.context.openState(table, partition) !== undefined
  })
  world.workers.pop()
  for (const key of away)
    expect(() => table.values(key)).toThrow(expect.objectContaining({ code: 'PARTITION_NOT_LOCAL' }))
  expect(away).toHaveLength(1)
  expect(table.changelog.topic).toBe('app-sets-changelog')
})

import { json } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memoryStore } from '@millrace/state'
import { SmallEvent } from './fixtures/small-event.fixture.ts'
import { SmallTask } from './fixtures/small-task.fixture.ts'
import { SmallWorld } from './fixtures/small-world.fixture.ts'
import { createSetTable } from './set-table.ts'

// Keys and elements that would run into each other if rows were only joined together.
const KEYS = ['a', 'ab', '', 'b', '\u0000'] as const
const ELEMENTS = ['', 'b', 'bb', 'a', '\uffff'] as const
const EVENTS = 3

const touching = fc.record({
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
const steps = fc.array(
  fc.oneof({ weight: 8, arbitrary: touching }, { weight: 3, arbitrary: ending }, { weight: 1, arbitrary: committing }),
  { maxLength: 80, size: 'max' },
)

const rowOf = (key: string, element: string): string => JSON.stringify([key, element])

test.each([0, 700, 1_000_000])(
  'adding and deleting in any order, as sets would have it; cache of %i bytes',
  async (cacheBytes) => {
    await fc.assert(
      fc.asyncProperty(steps, async (operations) => {
        using world = new SmallWorld()
        const table = createSetTable(world.deps, 'sets', { key: 'string', value: 'string' })
        const task = new SmallTask({ store: memoryStore(), partition: 0, partitions: 1, cacheBytes, freeze: true })
        await task.add(table)
        world.worker.tasks.push(task)
        const finished = new Set<string>()
        const begin = () => ({ scope: new SmallEvent(task, 0), pending: new Map<string, boolean>() })
        const events = Array.from({ length: EVENTS }, begin)

        for (const step of operations) {
          if (step.type === 'commit') {
            task.beginCommit()
            await task.endCommit(step.ok)
            continue
          }
          const current = events[step.event]
          if (current === undefined) continue
          const { scope, pending } = current
          if (step.type === 'end') {
            if (step.finish) {
              scope.finish()
              for (const [row, there] of pending) {
                if (there) finished.add(row)
                else finished.delete(row)
              }
            } else scope.fail()
            events[step.event] = begin()
            continue
          }
          const { key, element } = step
          const row = rowOf(key, element)
          const seen = (one: string): boolean => pending.get(one) ?? finished.has(one)
          const touched = step.type === 'values' ? ELEMENTS.map((one) => rowOf(key, one)) : [row]
          const taken = events.some((other) => other !== current && touched.some((one) => other.pending.has(one)))
          const perform = (): unknown =>
            world.inAgent(scope, () => (step.type === 'values' ? table.values(key) : table[step.type](key, element)))
          if (taken) {
            expect(perform).toThrow(expect.objectContaining({ code: 'KEY_CONFLICT' }))
            scope.fail()
            events[step.event] = begin()
            continue
          }
          const before = seen(row)
          const result = perform()
          if (step.type === 'add') expect(result).toBe(!before)
          if (step.type === 'delete' || step.type === 'has') expect(result).toBe(before)
          if (step.type === 'values') expect(result).toEqual(ELEMENTS.filter((one) => seen(rowOf(key, one))).sort())
          if (step.type === 'add' && !before) pending.set(row, true)
          if (step.type === 'delete' && before) pending.set(row, false)
          expect(table.size).toBe(finished.size)
        }
        for (const key of KEYS)
          expect(table.values(key)).toEqual(ELEMENTS.filter((one) => finished.has(rowOf(key, one))).sort())
        const all: string[] = []
        for await (const [key, element] of table.entries()) all.push(rowOf(key, element))
        expect(all.sort()).toEqual([...finished].sort())
      }),
      { numRuns: 200 },
    )
  },
)

test('the key alone decides the partition; elements are told apart by their bytes', async () => {
  const world = new SmallWorld()
  const table = createSetTable(world.deps, 'sets', { key: 'string', value: json<{ a: number; b?: number }>() })
  const task = new SmallTask({ store: memoryStore(), partition: 2, partitions: 4, cacheBytes: 1000, freeze: false })
  await task.add(table)
  world.worker.tasks.push(task)
  const [mine, other] = [2, 3].map(
    (partition) =>
      Array.from({ length: 99 }, (_, i) => `k${i}`).find((key) => partitionForKey(Buffer.from(key), 4) === partition) ??
      '',
  )
  if (mine === undefined || other === undefined) throw new Error('Among 99 keys each of 4 partitions has one.')
  const event = new SmallEvent(task, 0)
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
  expect(() => table.values(other)).toThrow(expect.objectContaining({ code: 'PARTITION_NOT_LOCAL' }))
  expect(() => table.add(mine, { a: 2 })).toThrow(expect.objectContaining({ code: 'WRITE_OUTSIDE_AGENT' }))
  expect(table.changelog.topic).toBe('app-sets-changelog')
})

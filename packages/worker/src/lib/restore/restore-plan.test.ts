import { expect, test } from 'vitest'
import { Gap, planRestore } from './restore-plan.ts'

const changelog = { topicId: 'id', beginning: 10, end: 100, config: { 'delete.retention.ms': '1000' } }

test('without a checkpoint everything is read, and nothing is dropped', () => {
  expect(planRestore(undefined, changelog)).toEqual({ from: 10, rebuild: undefined })
})

test('continues at the checkpoint', () => {
  expect(planRestore({ topicId: 'id', offset: 50, wallTimeMs: 5000 }, changelog)).toEqual({
    from: 50,
    rebuild: undefined,
  })
})

test.each([
  ['of another topic', { topicId: 'other', offset: 50, wallTimeMs: 5000 }],
  ['past the end', { topicId: 'id', offset: 101, wallTimeMs: 5000 }],
  ['before the beginning', { topicId: 'id', offset: 9, wallTimeMs: 5000 }],
])('a checkpoint %s is not trusted', (_, checkpoint) => {
  const plan = planRestore(checkpoint, changelog)
  expect(plan.from).toBe(10)
  expect(plan.rebuild).toBeTypeOf('string')
})

const at = (...timestamps: readonly number[]): readonly { readonly timestamp: number }[] =>
  timestamps.map((timestamp) => ({ timestamp }))
const gap = (offset: number, wallTimeMs = 5000): Gap => new Gap({ topicId: 'id', offset, wallTimeMs }, changelog)

test('a store of any age is usable if its changelog has no gap after the checkpoint', () => {
  expect(gap(50).read(at(1, 1e8), true).distrust(1e9)).toBeUndefined()
  expect(gap(50, 1e10).read(at(1, 1e8), true).distrust(1e9)).toBeUndefined()
})

test('an old store is usable if only a transaction marker, or one row, follows its rows', () => {
  expect(gap(100).read([], false).distrust(1e9)).toBeUndefined()
  expect(gap(99).read(at(1e8), false).distrust(1e9)).toBeUndefined()
  expect(gap(98).read(at(1e8), false).distrust(1e9)).toBeTypeOf('string')
})

test.each([
  ['a young store', at(5000, 5400), 5400, undefined],
  ['rows made before the checkpoint, within the time that they may have been in transit', at(4500), 5000, undefined],
  ['it is old by this clock', at(5000), 5501, /so old/],
  ['it is old by the clock of a row', at(5501), 5000, /so old/],
  ['the checkpoint is in the future', at(5000), 4499, /ran ahead/],
  ['a row after it was made before it', at(4499), 5000, /ran ahead/],
])('after compaction every clock counts: %s', (_, records, nowMs, why) => {
  const said = gap(50).read(at(5000), true).read(records, false).read(at(5000), true).distrust(nowMs)
  if (why === undefined) expect(said).toBeUndefined()
  else expect(said).toMatch(why)
})

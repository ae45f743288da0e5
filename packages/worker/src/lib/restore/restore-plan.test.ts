import { expect, test } from 'vitest'
import { Gap, planRestore } from './restore-plan.ts'

const changelog = { topicId: 'id', beginning: 10, end: 100, config: { 'delete.retention.ms': '1000' } }

test('without a checkpoint: all of it, and nothing to drop', () => {
  expect(planRestore(undefined, changelog)).toEqual({ from: 10, rebuild: undefined })
})

test('goes on from the checkpoint', () => {
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

test('of a changelog that is whole behind its checkpoint nothing is missing, however old the store', () => {
  expect(gap(50).read(at(1, 1e8), true).distrust(1e9)).toBeUndefined()
  expect(gap(50, 1e10).read(at(1, 1e8), true).distrust(1e9)).toBeUndefined()
})

test('an old store behind whose rows there is only the mark of their transaction, or one row, is good', () => {
  expect(gap(100).read([], false).distrust(1e9)).toBeUndefined()
  expect(gap(99).read(at(1e8), false).distrust(1e9)).toBeUndefined()
  expect(gap(98).read(at(1e8), false).distrust(1e9)).toBeTypeOf('string')
})

test.each([
  ['a young store', at(5000, 5400), 5400, undefined],
  ['rows made before the checkpoint, as far as they may have been on their way', at(4500), 5000, undefined],
  ['by this clock it is old', at(5000), 5501, /so old/],
  ['by the clock of a row it is old', at(5501), 5000, /so old/],
  ['the checkpoint is of the future', at(5000), 4499, /ran ahead/],
  ['a row behind it is from before it', at(4499), 5000, /ran ahead/],
])('where something was compacted away every clock has its say: %s', (_, records, nowMs, why) => {
  const said = gap(50).read(at(5000), true).read(records, false).read(at(5000), true).distrust(nowMs)
  if (why === undefined) expect(said).toBeUndefined()
  else expect(said).toMatch(why)
})

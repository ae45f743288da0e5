import { expect, test } from 'vitest'
import { planRestore } from './restore-plan.ts'

const changelog = { topicId: 'id', beginning: 10, end: 100, config: { 'delete.retention.ms': '1000' } }

test('without a checkpoint: all of it, and nothing to drop', () => {
  expect(planRestore(undefined, changelog, 0)).toEqual({ from: 10, rebuild: undefined })
})

test('goes on from the checkpoint', () => {
  expect(planRestore({ topicId: 'id', offset: 50, wallTimeMs: 5000 }, changelog, 5400)).toEqual({
    from: 50,
    rebuild: undefined,
  })
})

test('an old store that has seen everything is good', () => {
  expect(planRestore({ topicId: 'id', offset: 100, wallTimeMs: 0 }, changelog, 1e9)).toEqual({
    from: 100,
    rebuild: undefined,
  })
})

test('an old store behind whose rows there is only the mark of their transaction, or one row, is good', () => {
  expect(planRestore({ topicId: 'id', offset: 99, wallTimeMs: 0 }, changelog, 1e9)).toEqual({
    from: 99,
    rebuild: undefined,
  })
  expect(planRestore({ topicId: 'id', offset: 98, wallTimeMs: 0 }, changelog, 1e9).rebuild).toBeTypeOf('string')
})

test.each([
  ['of another topic', { topicId: 'other', offset: 50, wallTimeMs: 5000 }],
  ['past the end', { topicId: 'id', offset: 101, wallTimeMs: 5000 }],
  ['before the beginning', { topicId: 'id', offset: 9, wallTimeMs: 5000 }],
  ['older than half the time that deletions are kept', { topicId: 'id', offset: 50, wallTimeMs: 4000 }],
])('a checkpoint %s is not trusted', (_, checkpoint) => {
  const plan = planRestore(checkpoint, changelog, 5000)
  expect(plan.from).toBe(10)
  expect(plan.rebuild).toBeTypeOf('string')
})

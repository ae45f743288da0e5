import { expect, test } from 'vitest'
import { grouped } from './grouped.ts'

test('groups and their members keep the order of first appearance', () => {
  const groups = grouped([3, 10, 1, 12, 5], (n) => (n < 10 ? 'short' : 'long'))
  expect([...groups]).toEqual([
    ['short', [3, 1, 5]],
    ['long', [10, 12]],
  ])
  expect(grouped([], String).size).toBe(0)
})

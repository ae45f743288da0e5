import fc from 'fast-check'
import { expect, test } from 'vitest'
import { spreadPartitioner } from './partitioners.ts'

test('stays with a partition for a few records, then moves to the next one', () => {
  const spread = spreadPartitioner({ recordsInRow: 2 })
  expect(Array.from({ length: 7 }, () => spread.next('a', 3))).toEqual([0, 0, 1, 1, 2, 2, 0])
})

test('topics do not affect each other', () => {
  const spread = spreadPartitioner({ recordsInRow: 1 })
  expect([spread.next('a', 2), spread.next('b', 2), spread.next('a', 2), spread.next('b', 2)]).toEqual([0, 0, 1, 1])
})

test('full rounds give every partition the same number of records', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(100),
      (partitions, recordsInRow, first) => {
        const spread = spreadPartitioner({ recordsInRow, first })
        const counts = new Map<number, number>()
        for (let i = 0; i < partitions * recordsInRow * 3; i++) {
          const partition = spread.next('a', partitions)
          counts.set(partition, (counts.get(partition) ?? 0) + 1)
        }
        expect(counts.size).toBe(partitions)
        expect(new Set(counts.values())).toEqual(new Set([recordsInRow * 3]))
      },
    ),
  )
})

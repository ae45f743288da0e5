import { partitionKey, type TopicPartition } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignmentChange } from './assignment-change.ts'

const assignment: fc.Arbitrary<TopicPartition[]> = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 5 })), { selector: String })
  .map((list) => list.map(([topic, partition]) => ({ topic, partition })))

const keys = (partitions: readonly TopicPartition[]): string[] => partitions.map(partitionKey).sort()

test('lost and kept make up the old assignment, kept and gained the new one', () => {
  fc.assert(
    fc.property(assignment, assignment, fc.boolean(), (before, after, continuous) => {
      const { lost, kept, gained } = assignmentChange(before, after, continuous)
      expect(keys([...lost, ...kept])).toEqual(keys(before))
      expect(keys([...kept, ...gained])).toEqual(keys(after))
      if (continuous) expect(lost.some((partition) => keys(gained).includes(partitionKey(partition)))).toBe(false)
      else expect(kept).toEqual([])
    }),
  )
})

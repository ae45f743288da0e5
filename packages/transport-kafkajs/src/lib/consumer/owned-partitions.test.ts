import { partitionKey, type TopicPartition } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OwnedPartitions } from './owned-partitions.ts'

const at = (...numbers: readonly number[]): { readonly topic: string; readonly partition: number }[] =>
  numbers.map((partition) => ({ topic: 't', partition }))

const epochs = (owned: OwnedPartitions): readonly (number | undefined)[] =>
  [0, 1, 2].map((partition) => owned.epochOf({ topic: 't', partition }))

test('partitions that are kept through a generation keep their epoch; returning ones get a new epoch', () => {
  const owned = new OwnedPartitions()
  expect(owned.assign(1, at(0, 1))).toEqual({ lost: [], kept: [], gained: at(0, 1) })
  const before = epochs(owned)
  expect(owned.assign(2, at(1, 2))).toEqual({ lost: at(0), kept: at(1), gained: at(2) })
  expect(epochs(owned)).toEqual([undefined, before[1], expect.any(Number)])
  expect(owned.assign(3, at(0, 1))).toEqual({ lost: at(2), kept: at(1), gained: at(0) })
  expect(epochs(owned)).toEqual([expect.any(Number), before[1], undefined])
  expect(epochs(owned)[0]).not.toBe(before[0])
})

test.each([
  ['a generation was left out', (): number => 3],
  [
    'one may have been',
    (owned: OwnedPartitions): number => {
      owned.mayHaveMissed()
      return 2
    },
  ],
] as const)('%s: nothing is kept, and every partition begins another epoch', (_what, next) => {
  const owned = new OwnedPartitions()
  owned.assign(1, at(0, 1))
  const [first, second] = epochs(owned)
  expect(owned.assign(next(owned), at(0, 1))).toEqual({ lost: at(0, 1), kept: [], gained: at(0, 1) })
  expect(epochs(owned)).not.toContain(first)
  expect(epochs(owned)).not.toContain(second)
})

test('a member that was removed from the group owns nothing, and starts over', () => {
  const owned = new OwnedPartitions()
  owned.assign(7, at(0))
  const [epoch] = epochs(owned)
  expect(owned.drop()).toEqual(at(0))
  expect([owned.isMember, epochs(owned)[0]]).toEqual([false, undefined])
  expect(owned.assign(9, at(0))).toEqual({ lost: [], kept: [], gained: at(0) })
  expect(epochs(owned)[0]).not.toBe(epoch)
})

const assignment: fc.Arbitrary<TopicPartition[]> = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 5 })), { selector: String })
  .map((list) => list.map(([topic, partition]) => ({ topic, partition })))

const keys = (partitions: readonly TopicPartition[]): string[] => partitions.map(partitionKey).sort()

test('lost and kept partitions are the old assignment, kept and gained ones the new', () => {
  fc.assert(
    fc.property(assignment, assignment, fc.boolean(), (before, after, continuous) => {
      const owned = new OwnedPartitions()
      owned.assign(1, before)
      if (!continuous) owned.mayHaveMissed()
      const { lost, kept, gained } = owned.assign(2, after)
      expect(keys([...lost, ...kept])).toEqual(keys(before))
      expect(keys([...kept, ...gained])).toEqual(keys(after))
      if (continuous) expect(lost.some((partition) => keys(gained).includes(partitionKey(partition)))).toBe(false)
      else expect(kept).toEqual([])
    }),
  )
})

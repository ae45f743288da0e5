import { partitionKey, type TopicPartition } from '@millrace/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planRebalance } from './plan-rebalance.ts'

const COUNTS: Readonly<Record<string, number>> = { a: 3, b: 3, c: 2 }
const ALL = Object.entries(COUNTS).flatMap(([topic, count]) =>
  Array.from({ length: count }, (_, partition): TopicPartition => ({ topic, partition })),
)
const taskOf = ({ topic, partition }: TopicPartition): string => `${COUNTS[topic]}-${partition}`
const some = fc.subarray(ALL)

test('the result is exactly the new assignment, each task with all its partitions, and unchanged tasks stay', () => {
  fc.assert(
    fc.property(some, some, (before, after) => {
      const has = (list: readonly TopicPartition[]) => (one: TopicPartition) =>
        list.some((other) => partitionKey(other) === partitionKey(one))
      const here = new Map(before.map((one) => [taskOf(one), before.filter((other) => taskOf(other) === taskOf(one))]))
      const change = {
        lost: before.filter((one) => !has(after)(one)),
        kept: before.filter(has(after)),
        gained: after.filter((one) => !has(before)(one)),
      }
      const { lost, kept, gained } = planRebalance(change, here, (topic) => COUNTS[topic])
      const result = new Map([...here].filter(([id]) => !lost.includes(id)))
      expect(kept).toEqual([...result.keys()])
      for (const { id, assigned } of gained) {
        expect(result.has(id)).toBe(false)
        result.set(id, [...assigned])
      }
      const sorted = (list: readonly TopicPartition[]): readonly string[] => list.map(partitionKey).toSorted()
      expect([...result.keys()].toSorted()).toEqual([...new Set(after.map(taskOf))].toSorted())
      for (const [id, assigned] of result) {
        expect(sorted(assigned)).toEqual(sorted(after.filter((one) => taskOf(one) === id)))
        const same = String(sorted(here.get(id) ?? [])) === String(sorted(assigned))
        expect(lost.includes(id)).toBe(here.has(id) && !same)
      }
    }),
  )
})

test('topics of another version are ignored', () => {
  const old = { topic: 'old', partition: 0 }
  expect(planRebalance({ lost: [], kept: [old], gained: [] }, new Map(), (topic) => COUNTS[topic])).toEqual({
    lost: [],
    kept: [],
    gained: [],
  })
})

test.each([-1, 3, 99, 0.5, 2 ** 31])('partition %d, which the topic does not have, is ignored', (partition) => {
  const plan = planRebalance(
    { lost: [], kept: [], gained: [{ topic: 'a', partition }, ALL[0] ?? { topic: 'a', partition: 0 }] },
    new Map(),
    (topic) => COUNTS[topic],
  )
  expect(plan.gained.map(({ id }) => id)).toEqual(['3-0'])
})

test('a partition that is named twice counts once', () => {
  const twice = { topic: 'a', partition: 1 }
  const plan = planRebalance({ lost: [], kept: [], gained: [twice, { ...twice }] }, new Map(), (topic) => COUNTS[topic])
  expect(plan.gained).toMatchObject([{ id: '3-1', assigned: [twice] }])
})

import { AssignerProtocol } from 'kafkajs'
import { expect, test } from 'vitest'
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './groups.ts'

const partitions = [
  { topic: 'a', partition: 3 },
  { topic: 'a', partition: 1 },
  { topic: 'b', partition: 0 },
]

test('subscriptions and assignments survive encoding', () => {
  const subscription = { topics: ['a', 'b'], data: Buffer.from('data') }
  expect(decodeSubscription(encodeSubscription(subscription, 7))).toEqual(subscription)
  const assignment = { partitions, groupData: Buffer.from('all'), ownData: Buffer.from('own') }
  expect(decodeAssignment(encodeAssignment(assignment))).toEqual(assignment)
  expect(decodeAssignment(Buffer.alloc(0)).partitions).toEqual([])
})

test('other clients can read them', () => {
  expect(
    AssignerProtocol.MemberMetadata.decode(encodeSubscription({ topics: ['a'], data: Buffer.alloc(0) }, 0)),
  ).toMatchObject({ version: 0, topics: ['a'] })
  const bytes = encodeAssignment({ partitions, groupData: Buffer.from('all'), ownData: Buffer.from('own') })
  expect(AssignerProtocol.MemberAssignment.decode(bytes)).toMatchObject({
    assignment: { a: [3, 1], b: [0] },
    userData: Buffer.from('all'),
  })
})

test('an assignment of an earlier version, which ends with the group data, has no data of its own', () => {
  const bytes = encodeAssignment({ partitions, groupData: Buffer.from('all'), ownData: Buffer.alloc(0) })
  expect(decodeAssignment(bytes.subarray(0, -4))).toEqual({
    partitions,
    groupData: Buffer.from('all'),
    ownData: Buffer.alloc(0),
  })
})

test("the join number changes the subscription's bytes", () => {
  const subscription = { topics: ['a'], data: Buffer.from('data') }
  expect(encodeSubscription(subscription, 1).equals(encodeSubscription(subscription, 2))).toBe(false)
})

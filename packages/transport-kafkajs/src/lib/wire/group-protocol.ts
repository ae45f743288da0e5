import type { TopicPartition } from '@millrace/core'
import { readByTopic, writeByTopic } from './requests/by-topic.ts'
import { WireReader } from './wire-reader.ts'
import { WireWriter } from './wire-writer.ts'

/** What a member tells the leader. */
export interface MemberSubscription {
  readonly topics: readonly string[]
  readonly data: Uint8Array
}

/** What the leader gives each member. */
export interface MemberAssignment {
  readonly partitions: readonly TopicPartition[]
  readonly groupData: Uint8Array
  readonly ownData: Uint8Array
}

/**
 * In the format of Kafka's consumers, so that Kafka's own tools can show the group. `joinNumber` follows our own data:
 * a broker starts no rebalance for a member that joins again unchanged, and this makes it a change.
 */
export function encodeSubscription(subscription: MemberSubscription, joinNumber: number): Buffer {
  const data = new WireWriter().data(subscription.data).int32(joinNumber)
  const writer = new WireWriter().int16(0)
  writer.array(subscription.topics, (topic) => writer.string(topic))
  return writer.data(data.bytes()).bytes()
}

export function decodeSubscription(bytes: Buffer): MemberSubscription {
  const reader = new WireReader(bytes)
  reader.int16()
  const topics = reader.array(() => reader.text())
  const own = new WireReader(reader.data())
  return { topics, data: own.remaining === 0 ? own.buffer : own.data() }
}

/** Own data comes after all that Kafka's format has: whoever knows only that, an earlier version of this too, does not read so far. */
export function encodeAssignment(assignment: MemberAssignment): Buffer {
  const writer = new WireWriter().int16(0)
  writeByTopic(writer, assignment.partitions, ({ partition }) => writer.int32(partition))
  return writer.data(assignment.groupData).data(assignment.ownData).bytes()
}

/** A member that the leader gave nothing gets no bytes at all. */
export function decodeAssignment(bytes: Buffer): MemberAssignment {
  if (bytes.length === 0) return { partitions: [], groupData: bytes, ownData: bytes }
  const reader = new WireReader(bytes)
  reader.int16()
  const partitions = readByTopic(reader, (topic) => ({ topic, partition: reader.int32() }))
  const groupData = reader.data()
  return { partitions, groupData, ownData: reader.remaining === 0 ? Buffer.alloc(0) : reader.data() }
}

import type { TopicPartition } from '@millrace/core'
import type { ConsumerOptions } from '@millrace/core/driver'
import { APIS, type WireRequest } from '../wire-request.ts'
import { readByTopic, readErrorCode, writeByTopic } from './request-fields.ts'
import { WireReader } from '../wire-reader.ts'
import { WireWriter } from '../wire-writer.ts'

/** A member in its generation, as requests of the group name it. */
export interface MemberGeneration {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | undefined
}

export function writeMember(writer: WireWriter, member: MemberGeneration): void {
  writer
    .string(member.groupId)
    .int32(member.generation)
    .string(member.memberId)
    .string(member.instanceId ?? null)
}

export interface JoinedGroup {
  readonly errorCode: number
  readonly generation: number
  readonly leaderId: string
  readonly memberId: string
  /** Filled for the leader. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[]
}

/** Answered when all members have joined, so it may take as long as the longest drain. */
export function joinGroupRequest(
  { groupId, instanceId, sessionTimeoutMs, rebalanceTimeoutMs, assignor }: ConsumerOptions,
  memberId: string,
  metadata: Buffer,
): WireRequest<JoinedGroup> {
  return {
    api: APIS.joinGroup,
    encode: (writer) => {
      writer.string(groupId).int32(sessionTimeoutMs).int32(rebalanceTimeoutMs)
      writer
        .string(memberId)
        .string(instanceId ?? null)
        .string('consumer')
      writer.array([assignor], ({ name }) => writer.string(name).data(metadata))
    },
    decode: (reader) => {
      reader.int32()
      const errorCode = reader.int16()
      const generation = reader.int32()
      reader.string()
      const leaderId = reader.text()
      const memberId = reader.text()
      const members = reader.array(() => {
        const id = reader.text()
        reader.string()
        return { memberId: id, metadata: reader.data() }
      })
      return { errorCode, generation, leaderId, memberId, members }
    },
  }
}

export interface SyncedGroup {
  readonly errorCode: number
  readonly assignment: Buffer
}

/** The leader hands in everybody's assignment, each member gets its own. */
export function syncGroupRequest(
  member: MemberGeneration,
  assignments: readonly (readonly [memberId: string, assignment: Buffer])[],
): WireRequest<SyncedGroup> {
  return {
    api: APIS.syncGroup,
    encode: (writer) => {
      writeMember(writer, member)
      writer.array(assignments, ([memberId, assignment]) => writer.string(memberId).data(assignment))
    },
    decode: (reader) => {
      reader.int32()
      return { errorCode: reader.int16(), assignment: reader.data() }
    },
  }
}

/** Returns the error code. */
export function heartbeatRequest(member: MemberGeneration): WireRequest<number> {
  return {
    api: APIS.heartbeat,
    encode: (writer) => writeMember(writer, member),
    decode: readErrorCode,
  }
}

/** Returns the error code. */
export function leaveGroupRequest(member: MemberGeneration): WireRequest<number> {
  return {
    api: APIS.leaveGroup,
    encode: (writer) => {
      writer.string(member.groupId)
      writer.array([member], ({ memberId, instanceId }) => writer.string(memberId).string(instanceId ?? null))
    },
    decode: readErrorCode,
  }
}

/** What a member sends to the leader. */
export interface MemberSubscription {
  readonly topics: readonly string[]
  readonly data: Uint8Array
}

/** What the leader assigns to each member. */
export interface MemberAssignment {
  readonly partitions: readonly TopicPartition[]
  readonly groupData: Uint8Array
  readonly ownData: Uint8Array
}

/**
 * In the format of Kafka's consumers, so that Kafka's own tools can show the group. `joinNumber` follows our own data:
 * a broker starts no rebalance for a member that rejoins unchanged, and this number changes.
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

/**
 * Our own data follows all fields of Kafka's format. Clients that know only those fields, and earlier versions of this
 * driver, do not read that far.
 */
export function encodeAssignment(assignment: MemberAssignment): Buffer {
  const writer = new WireWriter().int16(0)
  writeByTopic(writer, assignment.partitions, ({ partition }) => writer.int32(partition))
  return writer.data(assignment.groupData).data(assignment.ownData).bytes()
}

/** A member without partitions gets no bytes at all. */
export function decodeAssignment(bytes: Buffer): MemberAssignment {
  if (bytes.length === 0) return { partitions: [], groupData: bytes, ownData: bytes }
  const reader = new WireReader(bytes)
  reader.int16()
  const partitions = readByTopic(reader, (topic) => ({ topic, partition: reader.int32() }))
  const groupData = reader.data()
  return { partitions, groupData, ownData: reader.remaining === 0 ? Buffer.alloc(0) : reader.data() }
}

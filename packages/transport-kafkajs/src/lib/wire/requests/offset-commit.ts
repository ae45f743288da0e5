import type { CommitOffset, TopicPartition } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'
import { readByTopic, writeByTopic } from './by-topic.ts'
import type { Membership } from './membership.ts'

export interface PartitionResult extends TopicPartition {
  readonly errorCode: number
}

/** Kafka checks member and generation, not whether the partitions are assigned to the member. */
export function offsetCommitRequest(
  member: Membership,
  offsets: readonly CommitOffset[],
): WireRequest<readonly PartitionResult[]> {
  return {
    api: APIS.offsetCommit,
    encode: (writer) => {
      writer
        .string(member.groupId)
        .int32(member.generation)
        .string(member.memberId)
        .string(member.instanceId ?? null)
      writeByTopic(writer, offsets, ({ partition, offset, metadata }) =>
        writer.int32(partition).int64(offset).int32(-1).string(metadata),
      )
    },
    decode: (reader) => {
      reader.int32()
      return readByTopic(reader, (topic) => ({ topic, partition: reader.int32(), errorCode: reader.int16() }))
    },
  }
}

import type { CommitOffset, TopicPartition } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'
import { readByTopic, writeByTopic } from './by-topic.ts'
import type { PartitionResult } from './offsets.ts'

export interface ProducerIdentity {
  readonly errorCode: number
  readonly producerId: number
  readonly epoch: number
}

/** Fences earlier producers of the transactional id and ends their open transaction. */
export function initProducerIdRequest(transactionalId: string, timeoutMs: number): WireRequest<ProducerIdentity> {
  return {
    api: APIS.initProducerId,
    encode: (writer) => writer.string(transactionalId).int32(timeoutMs),
    decode: (reader) => {
      reader.int32()
      return { errorCode: reader.int16(), producerId: reader.int64(), epoch: reader.int16() }
    },
  }
}

/** A transactional producer since its last `InitProducerId`. */
export interface TransactionalIdentity {
  readonly transactionalId: string
  readonly producerId: number
  readonly epoch: number
}

/** Tells the coordinator that the transaction will write to these partitions. */
export function addPartitionsRequest(
  owner: TransactionalIdentity,
  partitions: readonly TopicPartition[],
): WireRequest<readonly PartitionResult[]> {
  return {
    api: APIS.addPartitionsToTxn,
    encode: (writer) => {
      writer.string(owner.transactionalId).int64(owner.producerId).int16(owner.epoch)
      writeByTopic(writer, partitions, ({ partition }) => writer.int32(partition))
    },
    decode: (reader) => {
      reader.int32()
      return readByTopic(reader, (topic) => ({ topic, partition: reader.int32(), errorCode: reader.int16() }))
    },
  }
}

/** Tells the coordinator that the transaction will commit offsets of the group. Gives the error code. */
export function addOffsetsRequest(owner: TransactionalIdentity, groupId: string): WireRequest<number> {
  return {
    api: APIS.addOffsetsToTxn,
    encode: (writer) => writer.string(owner.transactionalId).int64(owner.producerId).int16(owner.epoch).string(groupId),
    decode: (reader) => {
      reader.int32()
      return reader.int16()
    },
  }
}

/** Asked of the group's coordinator. */
export function txnOffsetCommitRequest(
  owner: TransactionalIdentity,
  groupId: string,
  offsets: readonly CommitOffset[],
): WireRequest<readonly PartitionResult[]> {
  return {
    api: APIS.txnOffsetCommit,
    encode: (writer) => {
      writer.string(owner.transactionalId).string(groupId).int64(owner.producerId).int16(owner.epoch)
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

/** Commits or aborts. Gives the error code; the broker takes a repeated request for the same end. */
export function endTransactionRequest(owner: TransactionalIdentity, end: 'commit' | 'abort'): WireRequest<number> {
  return {
    api: APIS.endTxn,
    encode: (writer) =>
      writer
        .string(owner.transactionalId)
        .int64(owner.producerId)
        .int16(owner.epoch)
        .boolean(end === 'commit'),
    decode: (reader) => {
      reader.int32()
      return reader.int16()
    },
  }
}

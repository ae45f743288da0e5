import type { CommitOffset, TopicPartition } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'
import {
  readByTopic,
  readErrorCode,
  readPartitionResults,
  writeByTopic,
  writeOffsets,
  type PartitionResult,
} from './request-fields.ts'
import type { WireWriter } from '../wire-writer.ts'

export interface ProduceBatch extends TopicPartition {
  readonly data: Buffer
}

export interface ProducedBatch extends TopicPartition {
  readonly errorCode: number
  readonly baseOffset: number
  /** Records that made the broker refuse the batch, if it names them. */
  readonly badRecords: readonly number[]
  readonly message: string | undefined
}

/** Stores at most one batch per partition; answered when all in-sync replicas have them. */
export function produceRequest(
  batches: readonly ProduceBatch[],
  options: {
    readonly transactionalId: string | undefined
    readonly timeoutMs: number
    /**
     * Called last before the request is written, close to the socket, because a process may be suspended at any point.
     */
    readonly guard: () => void
  },
): WireRequest<readonly ProducedBatch[]> {
  return {
    api: APIS.produce,
    sizeHint: batches.reduce((size, { topic, data }) => size + topic.length * 3 + data.length + 16, 64),
    encode: (writer) => {
      writer
        .string(options.transactionalId ?? null)
        .int16(-1)
        .int32(options.timeoutMs)
      writeByTopic(writer, batches, ({ partition, data }) => writer.int32(partition).data(data))
      options.guard()
    },
    decode: (reader) =>
      readByTopic(reader, (topic) => {
        const partition = reader.int32()
        const errorCode = reader.int16()
        const baseOffset = reader.int64()
        reader.int64()
        reader.int64()
        const badRecords = reader.array(() => {
          const index = reader.int32()
          reader.string()
          return index
        })
        return { topic, partition, errorCode, baseOffset, badRecords, message: reader.string() ?? undefined }
      }),
  }
}

export interface ProducerIdentity {
  readonly errorCode: number
  readonly producerId: number
  readonly epoch: number
}

/** Fences earlier producers of the transactional id and ends their open transaction; `null` gives a new producer id. */
export function initProducerIdRequest(
  transactionalId: string | null,
  timeoutMs: number,
): WireRequest<ProducerIdentity> {
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

function writeOwner(writer: WireWriter, owner: TransactionalIdentity): WireWriter {
  return writer.string(owner.transactionalId).int64(owner.producerId).int16(owner.epoch)
}

/** Announces to the coordinator that the transaction will write to these partitions. */
export function addPartitionsRequest(
  owner: TransactionalIdentity,
  partitions: readonly TopicPartition[],
): WireRequest<readonly PartitionResult[]> {
  return {
    api: APIS.addPartitionsToTxn,
    encode: (writer) => {
      writeOwner(writer, owner)
      writeByTopic(writer, partitions, ({ partition }) => writer.int32(partition))
    },
    decode: readPartitionResults,
  }
}

/** Announces to the coordinator that the transaction will commit offsets of the group. Returns the error code. */
export function addOffsetsRequest(owner: TransactionalIdentity, groupId: string): WireRequest<number> {
  return {
    api: APIS.addOffsetsToTxn,
    encode: (writer) => writeOwner(writer, owner).string(groupId),
    decode: readErrorCode,
  }
}

/** Sent to the group's coordinator. */
export function txnOffsetCommitRequest(
  owner: TransactionalIdentity,
  groupId: string,
  offsets: readonly CommitOffset[],
): WireRequest<readonly PartitionResult[]> {
  return {
    api: APIS.txnOffsetCommit,
    encode: (writer) => {
      writer.string(owner.transactionalId).string(groupId).int64(owner.producerId).int16(owner.epoch)
      writeOffsets(writer, offsets)
    },
    decode: readPartitionResults,
  }
}

/** Commits or aborts. Returns the error code; the broker accepts a repeated request for the same end. */
export function endTransactionRequest(owner: TransactionalIdentity, end: 'commit' | 'abort'): WireRequest<number> {
  return {
    api: APIS.endTxn,
    encode: (writer) => writeOwner(writer, owner).boolean(end === 'commit'),
    decode: readErrorCode,
  }
}

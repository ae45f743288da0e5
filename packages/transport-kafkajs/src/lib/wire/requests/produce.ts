import type { TopicPartition } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'
import { readByTopic, writeByTopic } from './by-topic.ts'

export interface ProduceBatch extends TopicPartition {
  readonly data: Buffer
}

export interface ProducedBatch extends TopicPartition {
  readonly errorCode: number
  readonly baseOffset: number
  /** Records that made the broker refuse the batch, where it says so. */
  readonly badRecords: readonly number[]
  readonly message: string | undefined
}

/** Stores at most one batch per partition; answered when all in-sync replicas have them. */
export function produceRequest(
  batches: readonly ProduceBatch[],
  options: {
    readonly transactionalId: string | undefined
    readonly timeoutMs: number
    /** Called last before the request goes: a process may sleep at any point, and this one must be near the socket. */
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

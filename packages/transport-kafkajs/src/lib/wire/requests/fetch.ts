import type { TopicPartition } from '@millrace/core'
import type { Isolation, PartitionPosition } from '@millrace/core/driver'
import type { AbortedTransaction } from '../record-set.ts'
import { APIS, type WireRequest } from '../wire-request.ts'
import { readByTopic, writeByTopic } from './request-fields.ts'

export interface FetchOptions {
  readonly isolation: Isolation
  /** How long the broker may wait for a first byte. */
  readonly maxFetchWaitMs: number
  readonly maxFetchBytes: number
  readonly maxPartitionBytes: number
}

export interface FetchedPartition extends TopicPartition {
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** Record batches as they lie in the log. */
  readonly data: Buffer
}

export function fetchRequest(
  partitions: readonly PartitionPosition[],
  options: FetchOptions,
): WireRequest<readonly FetchedPartition[]> {
  return {
    api: APIS.fetch,
    encode: (writer) => {
      writer.int32(-1).int32(options.maxFetchWaitMs).int32(1).int32(options.maxFetchBytes)
      writer
        .int8(options.isolation === 'read-committed' ? 1 : 0)
        .int32(0)
        .int32(-1)
      writeByTopic(writer, partitions, ({ partition, offset }) =>
        writer.int32(partition).int32(-1).int64(offset).int64(-1).int32(options.maxPartitionBytes),
      )
      writer.int32(0).string('')
    },
    decode: (reader) => {
      reader.int32()
      reader.int16()
      reader.int32()
      return readByTopic(reader, (topic) => {
        const partition = reader.int32()
        const errorCode = reader.int16()
        const highWatermark = reader.int64()
        const lastStableOffset = reader.int64()
        reader.int64()
        const aborted = reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() }))
        reader.int32()
        return { topic, partition, errorCode, highWatermark, lastStableOffset, aborted, data: reader.data() }
      })
    },
  }
}

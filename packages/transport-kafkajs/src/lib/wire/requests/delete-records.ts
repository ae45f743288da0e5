import type { PartitionPosition } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'
import { readByTopic, writeByTopic } from './by-topic.ts'
import type { PartitionResult } from './offset-commit.ts'

/** To the leader of the partitions. It answers when its followers have deleted too, or after the time-out. */
export function deleteRecordsRequest(
  before: readonly PartitionPosition[],
  timeoutMs: number,
): WireRequest<readonly PartitionResult[]> {
  return {
    api: APIS.deleteRecords,
    encode: (writer) => {
      writeByTopic(writer, before, ({ partition, offset }) => writer.int32(partition).int64(offset))
      writer.int32(timeoutMs)
    },
    decode: (reader) => {
      reader.int32()
      return readByTopic(reader, (topic) => {
        const partition = reader.int32()
        reader.int64()
        return { topic, partition, errorCode: reader.int16() }
      })
    },
  }
}

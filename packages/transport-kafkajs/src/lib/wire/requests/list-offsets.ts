import type { Isolation, TopicPartition } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'
import { readByTopic, writeByTopic } from './by-topic.ts'

export interface ListedOffset extends TopicPartition {
  readonly errorCode: number
  readonly offset: number
}

const EARLIEST = -2
const LATEST = -1

/** `end` is the last stable offset under read-committed; a time is that of the first record that is not older. */
export type OffsetWanted = 'beginning' | 'end' | { readonly timestampMs: number }

/** Offsets of partitions led by the broker asked; -1 where no record is as young as that. */
export function listOffsetsRequest(
  partitions: readonly TopicPartition[],
  which: OffsetWanted,
  isolation: Isolation,
): WireRequest<readonly ListedOffset[]> {
  return {
    api: APIS.listOffsets,
    encode: (writer) => {
      writer.int32(-1).int8(isolation === 'read-committed' ? 1 : 0)
      writeByTopic(writer, partitions, ({ partition }) => writer.int32(partition).int64(timestampOf(which)))
    },
    decode: (reader) => {
      reader.int32()
      return readByTopic(reader, (topic) => {
        const partition = reader.int32()
        const errorCode = reader.int16()
        reader.int64()
        return { topic, partition, errorCode, offset: reader.int64() }
      })
    },
  }
}

function timestampOf(which: OffsetWanted): number {
  if (typeof which === 'object') return which.timestampMs
  return which === 'end' ? LATEST : EARLIEST
}

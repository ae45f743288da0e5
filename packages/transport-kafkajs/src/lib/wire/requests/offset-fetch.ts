import type { CommitOffset, TopicPartition } from '@millrace/core'
import { APIS, type WireRequest } from '../wire-request.ts'
import { byTopic } from './by-topic.ts'

export interface FetchedOffsets {
  /** The worst of the request's own and its partitions' error codes. */
  readonly errorCode: number
  /** Partitions that were never committed are absent. */
  readonly offsets: readonly CommitOffset[]
}

/**
 * Committed offsets of a group, of all that it has committed for `undefined`. `stable` waits out offsets that an open transaction has pending (the broker answers
 * UNSTABLE_OFFSET_COMMIT): without it a new owner would start from the older ones.
 */
export function offsetFetchRequest(
  groupId: string,
  partitions: readonly TopicPartition[] | undefined,
  stable: boolean,
): WireRequest<FetchedOffsets> {
  return {
    api: APIS.offsetFetch,
    encode: (writer) => {
      writer.compactString(groupId)
      if (partitions === undefined) writer.unsignedVarint(0)
      else
        writer.compactArray(byTopic(partitions), ([topic, list]) => {
          writer.compactString(topic)
          writer.compactArray(list, ({ partition }) => writer.int32(partition)).noTags()
        })
      writer.boolean(stable).noTags()
    },
    decode: (reader) => {
      reader.int32()
      let worst = 0
      const offsets: CommitOffset[] = []
      reader.compactArray(() => {
        const topic = reader.compactString() ?? ''
        reader.compactArray(() => {
          const partition = reader.int32()
          const offset = reader.int64()
          reader.int32()
          const metadata = reader.compactString() ?? ''
          const errorCode = reader.int16()
          reader.skipTags()
          if (errorCode !== 0) worst = errorCode
          else if (offset >= 0) offsets.push({ topic, partition, offset, metadata })
        })
        reader.skipTags()
      })
      const errorCode = reader.int16()
      reader.skipTags()
      return { errorCode: errorCode === 0 ? worst : errorCode, offsets }
    },
  }
}

import type { CommitOffset, TopicPartition } from '@millrace/core'
import type { Isolation } from '@millrace/core/driver'
import { APIS, type WireRequest } from '../wire-request.ts'
import {
  byTopic,
  readByTopic,
  readPartitionResults,
  writeByTopic,
  writeOffsets,
  type PartitionResult,
} from './request-fields.ts'
import { writeMember, type MemberGeneration } from './groups.ts'

export interface ListedOffset extends TopicPartition {
  readonly errorCode: number
  readonly offset: number
}

const EARLIEST = -2
const LATEST = -1

/** `end` is the last stable offset under read-committed. A timestamp finds the first record that is not older. */
export type OffsetWanted = 'beginning' | 'end' | { readonly timestampMs: number }

/** Offsets of partitions that the broker leads; -1 if no record is young enough. */
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

/** Kafka checks member and generation, not whether the partitions are assigned to the member. */
export function offsetCommitRequest(
  member: MemberGeneration,
  offsets: readonly CommitOffset[],
): WireRequest<readonly PartitionResult[]> {
  return {
    api: APIS.offsetCommit,
    encode: (writer) => {
      writeMember(writer, member)
      writeOffsets(writer, offsets)
    },
    decode: readPartitionResults,
  }
}

export interface FetchedOffsets {
  /** The worst of the request's own and its partitions' error codes. */
  readonly errorCode: number
  /** Partitions that were never committed are absent. */
  readonly offsets: readonly CommitOffset[]
}

/**
 * Committed offsets of a group; `undefined` means all of them. `stable` makes the broker answer UNSTABLE_OFFSET_COMMIT
 * while an open transaction has offsets pending; without it a new owner would start from older ones.
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

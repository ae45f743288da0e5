import { type CommitOffset, MillraceError, type TopicPartition } from '@millrace/core'
import { checkOffset, type PartitionOffsets, type PartitionPosition } from '@millrace/core/driver'
import { missing, missingPartition } from '../log/plan-append.ts'
import type { LogBackend } from '../log/log-backend.ts'

/** Beginning and end of each partition. Throws `TOPIC_MISSING` and `PARTITION_MISSING`. */
export function partitionOffsets(
  backend: LogBackend,
  partitions: readonly TopicPartition[],
): readonly PartitionOffsets[] {
  return backend.read((log) =>
    partitions.map(({ topic: name, partition }) => {
      const topic = log.topic(name)
      if (topic === undefined) throw missing(name)
      if (partition < 0 || partition >= topic.partitions) throw missingPartition(topic, partition)
      const { start, end } = log.bounds(topic, partition)
      return { topic: name, partition, beginning: start, end }
    }),
  )
}

/** How much is read before other work gets its turn. */
const STEP = { maxBytes: 1024 * 1024, maxRecords: 4096 }

/**
 * The first record within the bounds that is not older than `timestampMs`, or the end. Reads the log, because it has no
 * index of times.
 */
export async function offsetAt(
  backend: LogBackend,
  { topic: name, partition, beginning, end }: PartitionOffsets,
  timestampMs: number,
): Promise<PartitionPosition> {
  for (let offset = beginning; offset < end;) {
    const { found, next } = backend.read((log) => {
      const topic = log.topic(name)
      if (topic === undefined) return { found: undefined, next: end }
      // Retention may have deleted the records at this offset.
      const from = Math.max(offset, log.bounds(topic, partition).start)
      if (from >= end) return { found: undefined, next: end }
      const { records, nextOffset } = log.slice(topic, { partition, offset: from }, STEP)
      return { found: records.find(({ timestamp }) => timestamp >= timestampMs), next: nextOffset }
    })
    if (found !== undefined) return { topic: name, partition, offset: found.offset }
    offset = next
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  return { topic: name, partition, offset: end }
}

const MAX_METADATA_BYTES = 4096

/** Like `checkOffset`, for offsets about to be committed. */
export function checkCommit(offsets: readonly CommitOffset[]): void {
  for (const offset of offsets) {
    checkOffset(offset, offset.offset)
    const bytes = Buffer.byteLength(offset.metadata)
    if (bytes <= MAX_METADATA_BYTES) continue
    throw new MillraceError(
      'RECORD_TOO_LARGE',
      `Commit metadata of ${bytes} bytes for topic "${offset.topic}" partition ${offset.partition} is over ${MAX_METADATA_BYTES}.`,
    )
  }
}

import type { PartitionOffsets, PartitionPosition } from '@millrace/core'
import type { LogBackend } from '../log/log-backend.ts'

/** Read before others get their turn. */
const STEP = { maxBytes: 1024 * 1024, maxRecords: 4096 }

/** The first record within the bounds that is not older than `timestampMs`, or the end. Reads the log, for it keeps no index of times. */
export async function offsetAt(
  backend: LogBackend,
  { topic: name, partition, beginning, end }: PartitionOffsets,
  timestampMs: number,
): Promise<PartitionPosition> {
  for (let offset = beginning; offset < end;) {
    const { found, next } = backend.read((log) => {
      const topic = log.topic(name)
      if (topic === undefined) return { found: undefined, next: end }
      // Retention may have taken the place where we stand.
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

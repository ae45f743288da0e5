import type { RawRecord, Transport, TopicPartition } from '@millrace/core'

/** A record, and where it is. */
export type LoggedRecord = RawRecord & TopicPartition

/** All committed records of a topic, in order within each partition, from its beginning to its end as of now. */
export async function readLog(
  outside: Transport,
  { topic, partitions }: { readonly topic: string; readonly partitions: number },
): Promise<readonly LoggedRecord[]> {
  const reader = outside.reader({ isolation: 'read-committed' })
  try {
    const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const left = new Map<number, number>()
    for (const { partition, beginning, end } of await reader.offsets(places))
      if (end > beginning) left.set(partition, end)
    if (left.size === 0) return []
    for (const place of places) if (left.has(place.partition)) reader.assign(place, 0)
    const found: LoggedRecord[] = []
    for await (const { partition, records, nextOffset } of reader.batches()) {
      for (const { offset, timestamp, key, value, headers } of records)
        found.push({ topic, partition, offset, timestamp, key, value, headers })
      if (nextOffset >= (left.get(partition) ?? 0)) left.delete(partition)
      if (left.size === 0) break
    }
    return found
  } finally {
    await reader.close()
  }
}

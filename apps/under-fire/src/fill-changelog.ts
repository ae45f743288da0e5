import { NO_HEADERS, numberCodec, systemClock } from '@millrace/core'
import { partitionForKey, type Transport } from '@millrace/core/driver'

/** Rows of a table of numbers, of keys that nobody counts any more. */
export async function fillChangelog(
  outside: Transport,
  { topic, partitions, rows }: { readonly topic: string; readonly partitions: number; readonly rows: number },
): Promise<void> {
  const producer = outside.producer()
  const value = Buffer.from(numberCodec.encode(1))
  const timestamp = systemClock().now()
  for (let first = 0; first < rows; first += 50_000) {
    const records = Array.from({ length: Math.min(50_000, rows - first) }, (_, i) => {
      const key = Buffer.from(`old-${first + i}`)
      return { topic, partition: partitionForKey(key, partitions), key, value, headers: NO_HEADERS, timestamp }
    })
    await producer.send(records, { guard: () => {} })
  }
  await producer.close()
}

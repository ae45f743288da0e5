import {
  partitionKey,
  partitionsOf,
  type RawRecord,
  systemClock,
  type TopicPartition,
  withTimeout,
} from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import type { TopicPlace } from './verifier-topics.ts'

const LIMIT_MS = 120_000

/** A record, and where it is. */
export type LoggedRecord = RawRecord & TopicPartition

/** All committed records of a topic, in the order of each partition, from its beginning to its end as of now. */
export async function recordsOf(transport: Transport, topic: TopicPlace): Promise<readonly LoggedRecord[]> {
  const found: LoggedRecord[] = []
  await readTopic(transport, topic, (record) => found.push(record))
  return found
}

/** Shows every committed record of a topic, in the order of each partition. */
export async function readTopic(
  transport: Transport,
  { name, partitions }: TopicPlace,
  show: (record: LoggedRecord) => void,
): Promise<void> {
  const reader = transport.reader({ isolation: 'read-committed' })
  try {
    const places = partitionsOf(name, partitions)
    const offsets = await reader.offsets(places)
    const left = new Map(
      offsets.filter(({ beginning, end }) => end > beginning).map((one) => [partitionKey(one), one.end]),
    )
    for (const one of offsets) if (left.has(partitionKey(one))) reader.assign(one, one.beginning)
    const reading = async (): Promise<void> => {
      if (left.size === 0) return
      for await (const { records, partition, topic, nextOffset } of reader.batches()) {
        for (const { offset, timestamp, key, value, headers } of records)
          show({ topic, partition, offset, timestamp, key, value, headers })
        const key = partitionKey({ topic, partition })
        if (nextOffset >= (left.get(key) ?? Infinity)) left.delete(key)
        if (left.size === 0) return
      }
    }
    await withTimeout(
      reading(),
      LIMIT_MS,
      systemClock(),
      () => new Error(`${name} was not read within ${LIMIT_MS} ms.`),
    )
  } finally {
    await reader.close()
  }
}

import { decodeUtf8, type Codec, type RawRecord } from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'

/** A record of a topic, decoded. */
export interface SentRecord<K, V> {
  readonly key: K | null
  readonly value: V | null
  readonly headers: Readonly<Record<string, string>>
  readonly timestamp: number
  readonly partition: number
  readonly offset: number
}

/** The part of a topic that reading needs. */
export interface ReadableTopic<K, V> {
  readonly name: string
  readonly key: Pick<Codec<never, K>, 'decode'>
  readonly value: Pick<Codec<never, V>, 'decode'>
}

/** The records of a topic in the log, partition by partition. */
export function sentRecords<K, V>(log: MemoryLog, topic: ReadableTopic<K, V>): SentRecord<K, V>[] {
  return log.records(topic.name).map((record) => ({
    key: record.key === null ? null : topic.key.decode(record.key),
    value: record.value === null ? null : topic.value.decode(record.value),
    headers: headerText(record),
    timestamp: record.timestamp,
    partition: record.partition,
    offset: record.offset,
  }))
}

function headerText({ headers }: RawRecord): Record<string, string> {
  return Object.fromEntries(headers.map(([name, value]) => [name, value === null ? '' : decodeUtf8(value)]))
}

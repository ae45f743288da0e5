/** Headers as Kafka keeps them: a list of pairs in the order sent, names may repeat, a value may be null. */
export type RawHeaders = readonly (readonly [name: string, value: Buffer | null])[]

/** One partition of one topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** What a group has committed of a partition. */
export interface CommitOffset extends TopicPartition {
  /** The next offset to read. */
  readonly offset: number
  /** At most 4,096 bytes, kept with the offset. */
  readonly metadata: string
}

/**
 * Bytes in a partition, as a transport reads them. A driver may make key and value when they are asked for, each time
 * anew: take what you need of it by name, a copy with `{ ...record }` may lack them.
 */
export interface RawRecord {
  readonly offset: number
  /** Milliseconds since the epoch, as the producer set it, at most what a `Date` can be. */
  readonly timestamp: number
  readonly key: Buffer | null
  /** `null` is a tombstone. */
  readonly value: Buffer | null
  readonly headers: RawHeaders
}

/**
 * All that a reader gets of one partition between two positions. Offsets from `position` to `nextOffset` without a record
 * here have none for anybody: they are control records, were compacted away, or belong to an aborted transaction. Only the
 * driver can say so, and it says it within a batch: the next one begins where this one ends, unless `seek` came between.
 */
export interface RecordBatch extends TopicPartition {
  /** The position that it was read from. It may lie before the first record's offset. */
  readonly position: number
  /** In offset order; may be empty when only the position moved. */
  readonly records: readonly RawRecord[]
  /** The position after this batch. It may lie beyond the last record's offset + 1. */
  readonly nextOffset: number
  /** Size of keys, values and headers, for memory bounds. */
  readonly bytes: number
  /** The end of the log as known when the batch was read (the last stable offset under read-committed). */
  readonly endOffset: number
  /**
   * No offset of it has lost its record to compaction: those without one are of control records and aborted transactions.
   * Left out or false when one has, or when the driver cannot tell.
   */
  readonly whole?: boolean
  /** Timestamps in it that no date can be, and that were moved to the nearest one that can. Default 0. */
  readonly clampedTimestamps?: number
  /** Set when the offsets from `position` to `nextOffset` hold what cannot be read; then there are no records. */
  readonly broken?: BrokenBatch
}

/** Why the offsets of a batch have no records: they hold what the driver cannot decode. It is damaged, in a form or compression that is not there, or too large. */
export interface BrokenBatch {
  /** Why, naming topic, partition and offsets. */
  readonly error: Error
  /** As it lies in the log. */
  readonly data: Buffer
}

/** A record on its way out, partition decided. */
export interface OutgoingRecord extends TopicPartition {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  readonly timestamp: number
}

/** Where a record was stored. */
export interface RecordMetadata extends TopicPartition {
  /** -1 where the broker has the record and does not say where. */
  readonly offset: number
  readonly timestamp: number
}

/** The one empty list of headers, so that records without any share it. */
export const NO_HEADERS: RawHeaders = Object.freeze([])

/** A map key for a topic partition. Topic names have no `/`, so it is unambiguous. */
export function partitionKey(partition: TopicPartition): string {
  return `${partition.topic}/${partition.partition}`
}

/** What is listed of each partition, by its key. */
export function byPartition<P extends TopicPartition>(list: readonly P[]): Map<string, P> {
  return new Map(list.map((one) => [partitionKey(one), one]))
}

/** All partitions of a topic that has so many. */
export function partitionsOf(topic: string, count: number): readonly TopicPartition[] {
  return Array.from({ length: count }, (_, partition) => ({ topic, partition }))
}

/** The last header of a name, as text. */
export function headerNamed(headers: RawHeaders, wanted: string): string | undefined {
  for (let i = headers.length - 1; i >= 0; i--) {
    const header = headers[i]
    if (header !== undefined && header[0] === wanted) return header[1]?.toString('utf8')
  }
  return undefined
}

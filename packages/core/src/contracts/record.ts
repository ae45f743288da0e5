/** Headers as Kafka keeps them: a list of pairs in the order sent, names may repeat, a value may be null. */
export type RawHeaders = readonly (readonly [name: string, value: Buffer | null])[]

/** One partition of one topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A group's commit of a partition. */
export interface CommitOffset extends TopicPartition {
  /** The next offset to read. */
  readonly offset: number
  /** At most 4,096 bytes, kept with the offset. */
  readonly metadata: string
}

/**
 * Bytes in a partition, as a transport reads them. A driver may make key and value on each access, so read the fields
 * that you need by name: a copy with `{ ...record }` may lack them.
 */
export interface RawRecord {
  readonly offset: number
  /** Milliseconds since the epoch, as the producer set it, within the range of a `Date`. */
  readonly timestamp: number
  readonly key: Buffer | null
  /** `null` is a tombstone. */
  readonly value: Buffer | null
  readonly headers: RawHeaders
}

/**
 * Everything that a reader gets of one partition between two positions. Offsets from `position` to `nextOffset` without
 * a record here have none for any reader: they are control records, were compacted away, or belong to an aborted
 * transaction. Only the driver can know that, so the offsets belong to a batch: the next one begins where this one
 * ends, unless `seek` was called in between.
 */
export interface RecordBatch extends TopicPartition {
  /** The position at which it was read. It may be before the first record's offset. */
  readonly position: number
  /** In offset order; may be empty when only the position moved. */
  readonly records: readonly RawRecord[]
  /** The position after this batch. It may be beyond the last record's offset + 1. */
  readonly nextOffset: number
  /** Size of keys, values and headers, for memory bounds. */
  readonly bytes: number
  /** The end of the log as known when the batch was read (the last stable offset under read-committed). */
  readonly endOffset: number
  /**
   * True if compaction has removed no record of it: offsets without one belong to control records and aborted
   * transactions. Otherwise, or if the driver cannot know, false or left out.
   */
  readonly whole?: boolean
  /** The number of timestamps beyond the range of dates, which were moved to the nearest possible one. Default 0. */
  readonly clampedTimestamps?: number
  /** Set if the offsets from `position` to `nextOffset` cannot be read; there are no records then. */
  readonly broken?: BrokenBatch
}

/**
 * Why the offsets of a batch have no records: the driver cannot decode their data. It is damaged, too large, or in an
 * unsupported format or compression.
 */
export interface BrokenBatch {
  /** The reason, with topic, partition and offsets. */
  readonly error: Error
  /** The bytes as they are in the log. */
  readonly data: Buffer
}

/** A record to be sent, with its partition. */
export interface OutgoingRecord extends TopicPartition {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  readonly timestamp: number
}

/** Where a record was stored. */
export interface RecordMetadata extends TopicPartition {
  /** -1 if the broker has the record but does not report its offset. */
  readonly offset: number
  readonly timestamp: number
}

/** The one empty list of headers, so that records without any share it. */
export const NO_HEADERS: RawHeaders = Object.freeze([])

/** A map key for a topic partition. Topic names have no `/`, so it is unambiguous. */
export function partitionKey(partition: TopicPartition): string {
  return `${partition.topic}/${partition.partition}`
}

/** The items of each partition, by its key. */
export function byPartition<P extends TopicPartition>(list: readonly P[]): Map<string, P> {
  return new Map(list.map((one) => [partitionKey(one), one]))
}

/** All partitions of a topic with this many. */
export function partitionsOf(topic: string, count: number): readonly TopicPartition[] {
  return Array.from({ length: count }, (_, partition) => ({ topic, partition }))
}

/** The last header with a name, as text. */
export function headerNamed(headers: RawHeaders, wanted: string): string | undefined {
  for (let i = headers.length - 1; i >= 0; i--) {
    const header = headers[i]
    if (header !== undefined && header[0] === wanted) return header[1]?.toString('utf8')
  }
  return undefined
}

import type { TopicPartition } from '@millrace/core'
import type { Decoded, RecordSet } from '../wire/record-set.ts'

/** What was fetched of a partition and has not all been delivered. */
export interface FetchedSet {
  readonly set: RecordSet
  readonly endOffset: number
  /** The next stretch of it, where that had to be waited for. */
  decoded: Decoded | undefined
}

/** A partition being read, and how far. */
export interface Position extends TopicPartition {
  /** Next offset to fetch. */
  offset: number
  /** False until the first `seek`, and again when the position turned out to be out of range. */
  active: boolean
  paused: boolean
  /** Given away since; a partition that is given back gets another position. */
  removed: boolean
  /** Counts seeks, so that the answer to an earlier request is not taken for the answer to a later one. */
  version: number
  /** While there is one, the partition is left out of fetches. */
  fetched: FetchedSet | undefined
  /** When records of it came last, in answers of the fetcher; 0 before. */
  servedAt: number
  /** Metadata lookups in a row that did not show the topic. */
  lookupsMissing: number
  /** Answers in a row that were damaged. */
  damaged: number
  /** Of the topic when it was first read: in a topic that was created again, offsets mean other records. */
  topicId: string | undefined
}

/** One that is silent until `seek`. */
export function newPosition({ topic, partition }: TopicPartition): Position {
  return {
    topic,
    partition,
    offset: 0,
    active: false,
    paused: false,
    removed: false,
    version: 0,
    fetched: undefined,
    servedAt: 0,
    lookupsMissing: 0,
    damaged: 0,
    topicId: undefined,
  }
}

/** For messages about a request. */
export function whereOf(positions: readonly TopicPartition[]): string {
  const [first] = positions
  if (first === undefined) return 'nothing'
  const more = positions.length > 1 ? ` and ${positions.length - 1} more` : ''
  return `${first.topic}/${first.partition}${more}`
}

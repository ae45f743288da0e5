import type { TopicPartition } from '@millrace/core'
import type { Decoded, RecordSet } from '../wire/record-set.ts'

/** Fetched data of a partition that is not completely delivered. */
export interface FetchedSet {
  readonly set: RecordSet
  readonly endOffset: number
  /** The next part of it, if it had to be unpacked asynchronously. */
  decoded: Decoded | undefined
}

/** A partition that is read, and how far. */
export interface Position extends TopicPartition {
  /** The next offset to fetch. */
  offset: number
  /** False until the first `seek`, and again if the position turns out to be out of range. */
  active: boolean
  paused: boolean
  /** The partition was given up; if it is assigned again it gets another position. */
  removed: boolean
  /** Counts seeks, so that an answer to an earlier request is not used for a later one. */
  version: number
  /** While it is set, the partition is left out of fetches. */
  fetched: FetchedSet | undefined
  /** The number of the answer in which its last records came; 0 if there was none. */
  servedAt: number
  /** Successive metadata lookups that did not show the topic. */
  lookupsMissing: number
  /** Successive answers that were damaged. */
  damaged: number
  /** The topic's id when it was first read: in a topic that was created again, offsets belong to other records. */
  topicId: string | undefined
}

/** A position that is silent until `seek`. */
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

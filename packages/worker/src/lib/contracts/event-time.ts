import type { RawRecord } from '@millrace/core'
import type { CurrentEvent } from './event.ts'

/** A record with the time of its event, where that is not the record's own: in its value. */
export interface StampedRecord extends RawRecord {
  /** False when no time could be read: the event fails when it is decoded, and moves no watermark. */
  readonly hasTime: boolean
}

/**
 * Event time as one state of one task sees it. Its watermark says how far event time has come: the lowest time up to which
 * the subscriptions that write the state have finished their partitions. Partitions that are idle are left out.
 */
export interface EventTime {
  /** In milliseconds since the epoch, `-Infinity` before the first event. Never goes back, over restarts too. */
  readonly watermark: number
  /** The watermark as of the last commit: whatever cannot be undone goes by this one. */
  readonly committed: number
  /**
   * How far event time has come as this event sees it. With one source topic that follows from the order of its partition
   * alone, whatever is in flight beside it: the highest time up to the event.
   */
  at(event: CurrentEvent): number
  /** The subscription of this event writes the state, from now on and after restarts: its partitions hold the watermark. */
  writtenBy(event: CurrentEvent): void
  /** A commit is made soon once the watermark has come to `time`; one call replaces the one before, `Infinity` ends it. */
  wakeAt(time: number): void
}

import type { RawRecord } from '@millrace/core'
import type { CurrentEvent } from './event.ts'

/** A record with the time of its event, if that is read from its value and differs from the record's own time. */
export interface StampedRecord extends RawRecord {
  /** False if no time could be read: the event then fails when it is decoded, and moves no watermark. */
  readonly hasTime: boolean
}

/**
 * Event time as one state of one task sees it. Its watermark is the lowest time up to which the subscriptions that
 * write the state have finished their partitions. Idle partitions are left out.
 */
export interface EventTime {
  /**
   * In milliseconds since the epoch, `-Infinity` before the first event. It never goes back, not even over restarts.
   */
  readonly watermark: number
  /** The watermark as of the last commit. Whatever cannot be undone depends on this one. */
  readonly committed: number
  /**
   * How far event time has come for this event. With one source topic that depends only on the order of its partition,
   * whatever else is in flight: it is the highest time up to the event.
   */
  at(event: CurrentEvent): number
  /**
   * Notes that the subscription of this event writes the state, from now on and after restarts: its partitions hold the
   * watermark.
   */
  writtenBy(event: CurrentEvent): void
  /**
   * Requests a commit once the watermark has reached `time`. Each call replaces the previous one; `Infinity` cancels
   * it.
   */
  wakeAt(time: number): void
  /** As `wakeAt`, but the commit may wait for its interval. The two do not replace each other. */
  touchAt(time: number): void
}

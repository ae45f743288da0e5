import type { Clock, RawRecord } from '@millrace/core'
import type { StampedRecord } from '../contracts/event-time.ts'
import type { AckTracker } from './positions.ts'

/** How far event time has come in one origin of events. */
export interface OriginTimes {
  /** The highest time of an event in what is finished without a gap; `-Infinity` before there is one. */
  readonly finished: number
  /** The highest time up to the event of this number, which is unfinished. */
  stampedAt(number: number): number
  /** It has been at its end for a while, with nothing in flight: it holds no watermark. */
  readonly idle: boolean
}

const FIRST_CAPACITY = 64

/**
 * Event time in one partition, for one subscription, beside its `AckTracker`: each number that the tracker gives out has
 * the highest time of all events up to it. So what is finished without a gap has the time of its last event, and finishing
 * an event costs nothing here.
 */
export class EventTimes implements OriginTimes {
  idle: boolean = false
  /** Events whose times are so far ahead of the clock that they move no watermark. */
  skewed: number = 0
  /** `onAlarm` is called while `finished` has come to it. */
  alarm: number = Infinity
  onAlarm: () => void = () => {}
  /** Called when it is idle no more. */
  onBusy: () => void = () => {}
  readonly #tracker: Pick<AckTracker, 'passed'>
  #stamped = new Float64Array(FIRST_CAPACITY)
  #mask = FIRST_CAPACITY - 1
  #settled = 0
  #finished: number
  #highest: number

  /** `finished`: as of the position at which reading begins. */
  constructor(tracker: Pick<AckTracker, 'passed'>, finished: number) {
    this.#tracker = tracker
    this.#finished = finished
    this.#highest = finished
  }

  /** The event of this number, the next one, is about to be handed out. */
  stamp(number: number, time: number): void {
    if (time > this.#highest) this.#highest = time
    if (number - this.#settled > this.#mask) {
      this.#settle()
      if (number - this.#settled > this.#mask) this.#grow(number)
    }
    this.#stamped[number & this.#mask] = this.#highest
    if (!this.idle) return
    this.idle = false
    this.onBusy()
  }

  get finished(): number {
    this.#settle()
    return this.#finished
  }

  stampedAt(number: number): number {
    return this.#stamped[number & this.#mask] ?? this.#highest
  }

  /** An event has finished. */
  check(): void {
    if (this.finished >= this.alarm) this.onAlarm()
  }

  #settle(): void {
    const { passed } = this.#tracker
    if (passed === this.#settled) return
    this.#finished = this.#stamped[(passed - 1) & this.#mask] ?? this.#finished
    this.#settled = passed
  }

  #grow(next: number): void {
    const stamped = new Float64Array(this.#stamped.length * 2)
    const mask = stamped.length - 1
    for (let number = this.#settled; number < next; number++)
      stamped[number & mask] = this.#stamped[number & this.#mask] ?? this.#highest
    this.#stamped = stamped
    this.#mask = mask
  }
}

export interface RecordClockOptions {
  /** As `TopicDeclaration.stamp`. */
  readonly stamp: ((record: RawRecord) => StampedRecord) | undefined
  /** Where a state of the task keeps to event time. */
  readonly times: EventTimes | undefined
  readonly clock: Pick<Clock, 'now'>
  readonly maxFutureSkewMs: number
}

/** Gives the records of one cursor their times. */
export class RecordClock {
  readonly #options: RecordClockOptions
  /** No time up to this one is too far ahead: the clock was there once. */
  #known = -Infinity

  constructor(options: RecordClockOptions) {
    this.#options = options
  }

  /** The record with this number, which is the next to be handed out. */
  stamp(record: RawRecord, number: number): RawRecord {
    const { stamp, times } = this.#options
    const stamped = stamp?.(record)
    if (times === undefined) return stamped ?? record
    const { timestamp } = stamped ?? record
    if (stamped?.hasTime === false) times.stamp(number, -Infinity)
    else if (this.#isTooFarAhead(timestamp)) {
      times.skewed++
      times.stamp(number, -Infinity)
    } else times.stamp(number, timestamp)
    return stamped ?? record
  }

  #isTooFarAhead(time: number): boolean {
    if (time <= this.#known) return false
    const { clock, maxFutureSkewMs } = this.#options
    this.#known = clock.now() + maxFutureSkewMs
    return time > this.#known
  }
}

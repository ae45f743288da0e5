import type { Clock, RawRecord } from '@millrace/core'
import type { StampedRecord } from '../contracts/event-time.ts'
import type { AckTracker } from './positions.ts'
import type { UpstreamTimes } from './upstream-times.ts'

/** How far event time has come in one origin of events. */
export interface OriginTimes {
  /** The highest time among the events that finished without a gap; `-Infinity` before the first one. */
  readonly finished: number
  /** The highest time up to the event of this number, which has not finished. */
  stampedAt(number: number): number
  /** The origin has been at its end for a while with no event in flight, so it holds back no watermark. */
  readonly idle: boolean
  /**
   * Since when the origin has not moved on: the last commit with more finished events, or the arrival of the first one
   * after a rest. By the monotonic clock.
   */
  readonly movedAtMs: number
}

const FIRST_CAPACITY = 64

/**
 * Event time in one partition, for one subscription. For each number of the `AckTracker` it keeps the highest time of all
 * events up to that one. The last event finished without a gap therefore has the finished time, and finishing an event
 * costs nothing here.
 */
export class EventTimes implements OriginTimes {
  idle: boolean = false
  movedAtMs: number
  /** The number of events too far ahead of the clock to move a watermark. */
  skewed: number = 0
  /** Once `finished` reaches this time, each finished event calls `onAlarm`. */
  alarm: number = Infinity
  onAlarm: () => void = () => {}
  /** Called when an idle partition receives an event. */
  onBusy: () => void = () => {}
  readonly #tracker: Pick<AckTracker, 'passed'>
  readonly #clock: Pick<Clock, 'monotonic'>
  #stamped = new Float64Array(FIRST_CAPACITY)
  #mask = FIRST_CAPACITY - 1
  #settled = 0
  #finished: number
  #highest: number

  /** `finished`: the finished time at the position where reading begins. */
  constructor(tracker: Pick<AckTracker, 'passed'>, finished: number, clock: Pick<Clock, 'monotonic'>) {
    this.#tracker = tracker
    this.#clock = clock
    this.movedAtMs = clock.monotonic()
    this.#finished = finished
    this.#highest = finished
  }

  /** Called when the event of this number, the next one, is about to be handed out. */
  stamp(number: number, time: number): void {
    if (time > this.#highest) this.#highest = time
    if (number - this.#settled > this.#mask) {
      this.#settle()
      if (number - this.#settled > this.#mask) this.#grow(number)
    }
    this.#stamped[number & this.#mask] = this.#highest
    this.busy()
  }

  /** The partition has an event to hand out, so it holds back watermarks. */
  busy(): void {
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

  /** The highest time among all events up to the last one handed out. */
  get highest(): number {
    return this.#highest
  }

  /** Called when the origin has moved on, or has received an event after a rest. */
  moved(): void {
    this.movedAtMs = this.#clock.monotonic()
  }

  /** Called when an event has finished. */
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
  /** See `TopicDeclaration.stamp`. */
  readonly stamp: ((record: RawRecord) => StampedRecord) | undefined
  /** Present if a state of the task keeps event time. */
  readonly times: EventTimes | undefined
  /** Of a repartition topic, into which tasks may send watermarks. */
  readonly upstream?: UpstreamTimes | undefined
  readonly clock: Pick<Clock, 'now'>
  readonly maxFutureSkewMs: number
}

/** Gives the records of one cursor their times. */
export class RecordClock {
  readonly #options: RecordClockOptions
  /** Times up to this one are known not to be too far ahead, by an earlier reading of the clock. */
  #known = -Infinity

  constructor(options: RecordClockOptions) {
    this.#options = options
  }

  /** Present for a repartition topic. */
  get upstream(): UpstreamTimes | undefined {
    return this.#options.upstream
  }

  /** The record with this number, which is the next to be handed out; `undefined` for a watermark, which is not. */
  stamp(record: RawRecord, number: number): RawRecord | undefined {
    const { stamp, times, upstream } = this.#options
    if (upstream !== undefined) {
      const watermark = upstream.read(record)
      if (watermark !== undefined) times?.stamp(number, upstream.isUsed ? watermark : -Infinity)
      else if (upstream.isUsed) times?.stamp(number, -Infinity)
      if (watermark !== undefined) return undefined
      if (upstream.isUsed) return record
    }
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

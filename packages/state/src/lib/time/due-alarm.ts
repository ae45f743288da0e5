import type { Clock, Scheduled } from '@millrace/core'
import type { EventTime } from '@millrace/worker'

/**
 * The longest sleep. Timers follow monotonic time, so a wall clock that was set forward, or that ran on while the machine was
 * suspended, is noticed only at the next check.
 */
const LONGEST_SLEEP_MS = 900_000

/** Wakes a state when something may be due. */
export interface DueAlarm {
  /** Rows are due up to this time. */
  readonly now: number
  /** The time of the next wake-up; `Infinity` for none. */
  set(time: number): void
  /** Wakes at this time at the latest. */
  lower(time: number): void
  /** Wakes in a later turn of the event loop. */
  soon(): void
  close(): void
}

/** Wakes by the clock. */
export class WallAlarm implements DueAlarm {
  readonly #clock: Clock
  readonly #onWake: () => void
  #scheduled: Scheduled | undefined = undefined
  #at = Infinity
  #isClosed = false

  constructor(clock: Clock, onWake: () => void) {
    this.#clock = clock
    this.#onWake = onWake
  }

  get now(): number {
    return this.#clock.now()
  }

  set(time: number): void {
    if (time === this.#at || this.#isClosed) return
    this.#scheduled?.cancel()
    this.#scheduled = undefined
    this.#at = time
    if (time === Infinity) return
    this.#scheduled = this.#clock.schedule(Math.min(time - this.now, LONGEST_SLEEP_MS), () => {
      this.#scheduled = undefined
      this.#at = Infinity
      this.#onWake()
    })
  }

  lower(time: number): void {
    if (time < this.#at) this.set(time)
  }

  soon(): void {
    this.set(-Infinity)
  }

  close(): void {
    this.#scheduled?.cancel()
    this.#isClosed = true
  }
}

/** Wakes by the committed watermark: the commit that takes it far enough is made at once, and then what is due is checked. */
export class EventAlarm implements DueAlarm {
  readonly #time: EventTime
  /** A time that the committed watermark has reached needs no wait. */
  readonly #turns: WallAlarm
  #at = Infinity

  constructor(time: EventTime, clock: Clock, onWake: () => void) {
    this.#time = time
    this.#turns = new WallAlarm(clock, onWake)
  }

  get now(): number {
    return this.#time.committed
  }

  set(time: number): void {
    if (time <= this.now) return this.#turns.soon()
    this.#at = time
    this.#time.wakeAt(time)
  }

  lower(time: number): void {
    if (time <= this.now) this.#turns.soon()
    else if (time < this.#at) this.set(time)
  }

  soon(): void {
    this.#turns.soon()
  }

  close(): void {
    this.#turns.close()
  }
}

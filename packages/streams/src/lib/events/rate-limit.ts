import type { Clock } from '@millrace/core'
import type { Wakeup } from './source.ts'

/** How much of a second's events may come at once after a pause: timers are too coarse to space out thousands. */
const BURST_SECONDS = 0.1
/** A reader that waits looks up that often, to notice that its source has ended. */
const LONGEST_WAIT_MS = 250

/**
 * A token bucket, which all instances of an agent on a worker share. What was handed out counts afterwards, so that
 * batches, whose size is not known before, put it into debt.
 */
export class RateLimit {
  readonly #clock: Pick<Clock, 'monotonic' | 'schedule'>
  readonly #perMs: number
  readonly #most: number
  #tokens: number
  #asOfMs: number

  constructor(perSecond: number, clock: Pick<Clock, 'monotonic' | 'schedule'>) {
    this.#clock = clock
    this.#perMs = perSecond / 1000
    this.#most = Math.max(1, perSecond * BURST_SECONDS)
    this.#tokens = this.#most
    this.#asOfMs = clock.monotonic()
  }

  /** Whether another event may be handed out now. */
  get isOpen(): boolean {
    const nowMs = this.#clock.monotonic()
    this.#tokens = Math.min(this.#most, this.#tokens + (nowMs - this.#asOfMs) * this.#perMs)
    this.#asOfMs = nowMs
    return this.#tokens >= 1
  }

  /** Events that were handed out. */
  count(events: number): void {
    this.#tokens -= events
  }

  /** Wakes once when another event may be handed out, or a little earlier. */
  watch(wakeup: Wakeup): void {
    const waitMs = Math.max(1, Math.ceil((1 - this.#tokens) / this.#perMs))
    this.#clock.schedule(Math.min(waitMs, LONGEST_WAIT_MS), () => wakeup.wake())
  }
}

import type { Clock, Scheduled } from '@millrace/core'

/** A wall clock may be set, and a machine may sleep: no timer is trusted for longer. */
const LONGEST_MS = 30_000

/** One timer for all jobs. Rings when the next of them is due, and every 30 s meanwhile. */
export class Alarm {
  readonly #clock: Pick<Clock, 'schedule'>
  readonly #ring: () => void
  #timer: Scheduled | undefined
  #closed = false

  constructor(clock: Pick<Clock, 'schedule'>, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** `undefined`: nothing is to come. */
  arm(inMs: number | undefined): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (inMs === undefined || this.#closed) return
    this.#timer = this.#clock.schedule(Math.min(Math.max(inMs, 1), LONGEST_MS), () => {
      this.#timer = undefined
      this.#ring()
    })
  }

  close(): void {
    this.#closed = true
    this.arm(undefined)
  }
}

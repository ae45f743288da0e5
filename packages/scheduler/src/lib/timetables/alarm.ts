import type { Clock, Scheduled } from '@millrace/core'

/** A wall clock may be set and a machine may be suspended, so no timer runs for longer than this. */
const LONGEST_MS = 30_000

/** One timer for all jobs. It rings when the next job is due, and at least every 30 s. */
export class Alarm {
  readonly #clock: Pick<Clock, 'schedule'>
  readonly #ring: () => void
  #timer: Scheduled | undefined
  #closed = false

  constructor(clock: Pick<Clock, 'schedule'>, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** `undefined`: no slot follows. */
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

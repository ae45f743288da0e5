import type { Clock } from '@millrace/core'

/** When a group last got a heartbeat of a member: every interval, unless heartbeats are stopped. */
export class Heartbeats {
  readonly #clock: Pick<Clock, 'monotonic'>
  #intervalMs = 1
  #sinceMs = -Infinity
  #stoppedMs: number | undefined
  #silences = 0

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Monotonic milliseconds; `-Infinity` before the first join. */
  get lastMs(): number {
    if (this.#stoppedMs !== undefined || this.#sinceMs === -Infinity) return this.#stoppedMs ?? -Infinity
    const nowMs = this.#clock.monotonic()
    return nowMs - ((nowMs - this.#sinceMs) % this.#intervalMs)
  }

  get silent(): boolean {
    return this.#stoppedMs !== undefined
  }

  /** Distinguishes one silence from another. */
  get silences(): number {
    return this.#silences
  }

  /** The group gets a heartbeat now, and from now on. */
  joined(intervalMs: number): void {
    this.#intervalMs = Math.max(intervalMs, 1)
    this.resume()
  }

  stop(): void {
    if (this.#sinceMs === -Infinity || this.silent) return
    this.#stoppedMs = this.lastMs
    this.#silences++
  }

  resume(): void {
    this.#stoppedMs = undefined
    this.#sinceMs = this.#clock.monotonic()
  }
}

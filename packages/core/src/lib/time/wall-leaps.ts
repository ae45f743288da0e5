/** A leap of the wall clock ahead of the monotonic one. */
interface Leap {
  /** Monotonic time of the last check before it. */
  readonly afterMs: number
  readonly byMs: number
}

/**
 * A smaller difference is jitter of two clocks that are read one after the other. Smaller steps in one direction add up
 * to a leap.
 */
const LEAST_LEAP_MS = 50
const MOST_LEAPS = 32

/**
 * Remembers when the wall clock went ahead of the monotonic one, as it does when the machine was suspended: the
 * monotonic clock stood still, and the wall clock is right again. A wall clock that was set forwards looks the same;
 * setting it back shows nothing.
 */
export class WallLeaps {
  #aheadMs: number | undefined
  #lookedMs = -Infinity
  readonly #leaps: Leap[] = []

  /** Notes both clocks as they are now. */
  look(monotonicMs: number, wallMs: number): void {
    const aheadMs = wallMs - monotonicMs
    const byMs = aheadMs - (this.#aheadMs ?? aheadMs)
    const afterMs = this.#lookedMs
    this.#lookedMs = monotonicMs
    if (byMs >= 0 && byMs < LEAST_LEAP_MS) {
      this.#aheadMs ??= aheadMs
      return
    }
    this.#aheadMs = aheadMs
    if (byMs < 0) return
    this.#leaps.push({ afterMs, byMs })
    const [oldest, next] = this.#leaps
    if (this.#leaps.length <= MOST_LEAPS || oldest === undefined || next === undefined) return
    // Two leaps are merged at the time of the later one, which counts too much rather than too little.
    this.#leaps.splice(0, 2, { afterMs: next.afterMs, byMs: oldest.byMs + next.byMs })
  }

  /** The total of leaps since a moment of monotonic time at which the clocks were checked. */
  since(monotonicMs: number): number {
    let sumMs = 0
    for (const { afterMs, byMs } of this.#leaps) if (afterMs >= monotonicMs) sumMs += byMs
    return sumMs
  }
}

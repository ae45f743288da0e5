/** What the wall clock has gone ahead of the monotonic one. */
interface Leap {
  /** Monotonic time of the last look before it. */
  readonly afterMs: number
  readonly byMs: number
}

/** Less is the jitter of two clocks that are read one after the other. Smaller steps in one direction add up to it. */
const LEAST_LEAP_MS = 50
const MOST_LEAPS = 32

/**
 * Remembers when the wall clock went ahead of the monotonic one. That is what a machine that was suspended sees: its
 * monotonic clock stood still, and its wall clock is right again. A wall clock that was set forwards looks the same; one that
 * was set back says nothing.
 */
export class WallLeaps {
  #aheadMs: number | undefined
  #lookedMs = -Infinity
  readonly #leaps: Leap[] = []

  /** Both clocks as they are now. */
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
    // Counted together from the later one on: rather too much than too little.
    this.#leaps.splice(0, 2, { afterMs: next.afterMs, byMs: oldest.byMs + next.byMs })
  }

  /** By how much all together, since a moment of monotonic time at which there was a look. */
  since(monotonicMs: number): number {
    let sumMs = 0
    for (const { afterMs, byMs } of this.#leaps) if (afterMs >= monotonicMs) sumMs += byMs
    return sumMs
  }
}

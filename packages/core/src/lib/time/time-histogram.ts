/** Upper bounds of the buckets, in milliseconds, from an event of a microsecond to an outage. */
export const TIME_BOUNDS_MS: readonly number[] = Object.freeze([
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000,
])

/** Counts of durations. */
export interface TimeStats {
  /**
   * One count for each of `TIME_BOUNDS_MS`, and one for longer durations. A duration equal to a bound belongs to its
   * count.
   */
  readonly counts: readonly number[]
  readonly count: number
  readonly sumMs: number
}

/**
 * Counts durations in constant memory: `add` allocates nothing.
 *
 * @example
 * const commits = new TimeHistogram()
 * commits.add(12)
 * commits.stats().count // 1
 */
export class TimeHistogram {
  readonly #counts = new Float64Array(TIME_BOUNDS_MS.length + 1)
  #count = 0
  #sumMs = 0

  /** @param weight how many events the sample represents. Default 1 */
  add(durationMs: number, weight = 1): void {
    let at = 0
    while (at < TIME_BOUNDS_MS.length && durationMs > (TIME_BOUNDS_MS[at] ?? Infinity)) at++
    this.#counts[at] = (this.#counts[at] ?? 0) + weight
    this.#count += weight
    this.#sumMs += durationMs * weight
  }

  stats(): TimeStats {
    return { counts: [...this.#counts], count: this.#count, sumMs: this.#sumMs }
  }
}

/** How waits between tries grow. */
export interface Backoff {
  /** Wait after the first failed try. */
  readonly firstMs: number
  /** No wait is longer. */
  readonly mostMs: number
  /** Each wait is this many times the one before. Default 2. */
  readonly factor?: number
  /** Share of a wait that is left to chance, 0 to 1, so that many clients do not come back in step. Default 0.2. */
  readonly jitter?: number
}

/**
 * How long to wait after the given number of failed tries (1 and more).
 *
 * @param random a number from 0 up to 1, `Math.random()` for example
 * @example
 * await clock.sleep(backoffMs(failures, { firstMs: 100, mostMs: 10_000 }, Math.random()))
 */
export function backoffMs(
  failures: number,
  { firstMs, mostMs, factor = 2, jitter = 0.2 }: Backoff,
  random: number,
): number {
  const fullMs = Math.min(mostMs, firstMs * factor ** Math.max(0, failures - 1))
  return fullMs * (1 - jitter * random)
}

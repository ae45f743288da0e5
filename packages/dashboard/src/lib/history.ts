import type { SiteStats } from '@millrace/web'
import { rounded, type Rates } from './rates.ts'

/** Seconds of history kept. */
const KEPT = 300

/** The five headline numbers at one moment. */
export interface HistoryPoint {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Over the previous second. */
  readonly events: number
  readonly sent: number
  readonly lag: number
  /** Since the last commit; `null` before the first. */
  readonly commitAgeMs: number | null
  /** Over the previous five minutes. */
  readonly errors: number
}

/** The last five minutes, one point a second, oldest first. */
export class History {
  readonly #points: HistoryPoint[] = []

  add(point: HistoryPoint): void {
    this.#points.push(point)
    if (this.#points.length > KEPT) this.#points.shift()
  }

  get points(): readonly HistoryPoint[] {
    return this.#points
  }

  get last(): HistoryPoint | undefined {
    return this.#points.at(-1)
  }

  /** The first point that is at most `ms` older than the last. */
  before(ms: number): HistoryPoint | undefined {
    const last = this.last
    return last && this.#points.find(({ at }) => at >= last.at - ms)
  }
}

/** Adds the point of this second. */
export function pointOf(
  stats: SiteStats,
  rates: Rates,
  { at, errors }: Pick<HistoryPoint, 'at' | 'errors'>,
): HistoryPoint {
  return {
    at,
    events: rounded(rates.lastPerSecond('events') ?? 0),
    sent: rounded(rates.lastPerSecond('sent') ?? 0),
    lag: stats.lag,
    commitAgeMs: stats.commits.at === undefined ? null : Math.max(at - Date.parse(stats.commits.at), 0),
    errors,
  }
}

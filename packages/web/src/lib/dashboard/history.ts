/** Seconds that are kept. */
const KEPT = 300

/** The five figures at one moment. */
export interface HistoryPoint {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Over the second before. */
  readonly events: number
  readonly sent: number
  readonly lag: number
  /** Since the last commit; `null` before the first. */
  readonly commitAgeMs: number | null
  /** In the five minutes before. */
  readonly errors: number
}

/** The last five minutes of the figures, one point a second, oldest first. */
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

  /** The point about so long before the last, or the first. */
  before(ms: number): HistoryPoint | undefined {
    const last = this.last
    return last && this.#points.find(({ at }) => at >= last.at - ms)
  }
}

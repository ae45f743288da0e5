import type { Clock } from '@millrace/core'

/** Who looks within this time sees the same. */
const FRESH_MS = 500

interface Look<T> {
  readonly beganMs: number
  readonly seen: Promise<T>
  over: boolean
}

/** Looks at something dear once for all who ask at the same time: while the look lasts, and for a moment after it began. */
export class SharedLooks<T> {
  readonly #clock: () => Pick<Clock, 'monotonic'>
  readonly #looks = new Map<string, Look<T>>()

  constructor(clock: () => Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** @param what tells looks apart; from a closed set, for the last of each is kept */
  see(what: string, look: () => Promise<T>): Promise<T> {
    const nowMs = this.#clock().monotonic()
    const known = this.#looks.get(what)
    if (known !== undefined && (!known.over || nowMs - known.beganMs < FRESH_MS)) return known.seen
    const seen = look()
    const begun: Look<T> = { beganMs: nowMs, seen, over: false }
    this.#looks.set(what, begun)
    const end = (): void => void (begun.over = true)
    seen.then(end, () => {
      // What failed is tried again by the next who asks.
      if (this.#looks.get(what) === begun) this.#looks.delete(what)
    })
    return seen
  }
}

import type { Clock } from '@millrace/core'

/** How long a result is shared, from the start of its lookup. */
const FRESH_MS = 500

interface Lookup<T> {
  readonly beganMs: number
  readonly result: Promise<T>
  isDone: boolean
}

/** Runs an expensive lookup once for concurrent callers, and for those who come shortly after. */
export class SharedLookups<T> {
  readonly #time: { readonly clock: Pick<Clock, 'monotonic'> }
  readonly #lookups = new Map<string, Lookup<T>>()

  constructor(time: { readonly clock: Pick<Clock, 'monotonic'> }) {
    this.#time = time
  }

  /** @param key which lookup; from a bounded set, for the last result of each is kept */
  get(key: string, lookUp: () => Promise<T>): Promise<T> {
    const nowMs = this.#time.clock.monotonic()
    const known = this.#lookups.get(key)
    if (known !== undefined && (!known.isDone || nowMs - known.beganMs < FRESH_MS)) return known.result
    const result = lookUp()
    const begun: Lookup<T> = { beganMs: nowMs, result, isDone: false }
    this.#lookups.set(key, begun)
    result.then(
      () => void (begun.isDone = true),
      () => {
        // A failure is not shared: the next caller tries again.
        if (this.#lookups.get(key) === begun) this.#lookups.delete(key)
      },
    )
    return result
  }
}

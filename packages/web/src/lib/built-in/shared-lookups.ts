import { raceAbort, withTimeout, type Clock } from '@millrace/core'
import { unavailable } from '../pages/page-error.ts'

export interface SharedLookupsOptions {
  readonly clock: Pick<Clock, 'monotonic' | 'schedule'>
  /** Concurrent lookups of different keys; another one is refused with a `PageError` 503. */
  readonly atATime: number
  /** A longer lookup is stopped, and its callers get a `PageError` 503. */
  readonly limitMs: number
  /**
   * How long a result is shared, from the start of its lookup. Default 0: only with callers that ask during the lookup.
   */
  readonly freshMs?: number
}

/** Runs a lookup; stops when the signal aborts. */
export type LookUp<T> = (signal: AbortSignal) => Promise<T>

interface Lookup<T> {
  readonly beganMs: number
  readonly result: Promise<T>
  readonly stop: AbortController
  waiting: number
  isDone: boolean
}

/**
 * Runs an expensive lookup once for concurrent callers and, where results stay fresh, for callers that come shortly
 * after. A lookup stops when its last caller has gone.
 */
export class SharedLookups<T> {
  readonly #options: SharedLookupsOptions
  readonly #lookups = new Map<string, Lookup<T>>()
  /** Includes lookups that were stopped but have not ended yet. */
  #running = 0

  constructor(options: SharedLookupsOptions) {
    this.#options = options
  }

  /**
   * @param key names the lookup; where results stay fresh, the set of keys must be bounded, as the last result of each
   * is kept
   * @param signal aborts when the caller has gone; a caller without one stays to the end
   */
  async get(key: string, lookUp: LookUp<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    const lookup = this.#known(key) ?? this.#begin(key, lookUp)
    lookup.waiting++
    try {
      return await (signal === undefined ? lookup.result : raceAbort(lookup.result, signal))
    } finally {
      lookup.waiting--
      if (lookup.waiting === 0 && !lookup.isDone) {
        this.#forget(key, lookup)
        lookup.stop.abort(signal?.reason)
      }
    }
  }

  #known(key: string): Lookup<T> | undefined {
    const { clock, freshMs = 0 } = this.#options
    const known = this.#lookups.get(key)
    const isShared = known !== undefined && (!known.isDone || clock.monotonic() - known.beganMs < freshMs)
    return isShared ? known : undefined
  }

  #begin(key: string, lookUp: LookUp<T>): Lookup<T> {
    const { clock, atATime, limitMs, freshMs = 0 } = this.#options
    if (this.#running >= atATime) throw unavailable(`${atATime} such pages are being read already.`)
    const stop = new AbortController()
    const work = this.#run(lookUp, stop.signal)
    const result = withTimeout(work, limitMs, clock, () => {
      const late = unavailable(`Reading for this page took longer than ${limitMs} ms.`)
      stop.abort(late)
      return late
    })
    const begun: Lookup<T> = { beganMs: clock.monotonic(), result, stop, waiting: 0, isDone: false }
    this.#lookups.set(key, begun)
    result.then(
      () => {
        begun.isDone = true
        if (freshMs === 0) this.#forget(key, begun)
      },
      () => {
        begun.isDone = true
        // Do not share a failure: the next caller tries again.
        this.#forget(key, begun)
      },
    )
    return begun
  }

  async #run(lookUp: LookUp<T>, signal: AbortSignal): Promise<T> {
    this.#running++
    try {
      return await lookUp(signal)
    } finally {
      this.#running--
    }
  }

  #forget(key: string, lookup: Lookup<T>): void {
    if (this.#lookups.get(key) === lookup) this.#lookups.delete(key)
  }
}

import { backoffMs } from '@millrace/core'

/** How a process ended. */
export interface ProcessEnd {
  /** Exit code, or the signal that ended it. */
  readonly by: number | string
  /** Whether its worker had joined and recovered. */
  readonly wasReady: boolean
  readonly ranForMs: number
}

const BACKOFF = { firstMs: 1_000, mostMs: 30_000 }
/** A process that ran for this long has not died in a loop. */
const SETTLED_MS = 60_000
/** Ends in a row after which a process is not started again. */
const MOST_IN_A_ROW = 5

/** Decides whether one of several processes is started again. */
export class Restarts {
  #inARow = 0
  #wasEverReady = false

  /**
   * How long to wait before the process is started again; `undefined` if it is not: it has failed by itself before it was
   * ready, as a process alone would (bad settings, an impossible topology), or it dies in a loop.
   */
  next({ by, wasReady, ranForMs }: ProcessEnd): number | undefined {
    this.#wasEverReady ||= wasReady
    if (!this.#wasEverReady && typeof by === 'number') return undefined
    this.#inARow = ranForMs >= SETTLED_MS ? 1 : this.#inARow + 1
    return this.#inARow > MOST_IN_A_ROW ? undefined : backoffMs(this.#inARow, BACKOFF, Math.random())
  }
}

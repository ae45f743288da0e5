import { type Clock, type Logger, toError } from '@millrace/core'
import type { DeadLetters } from '@millrace/core/operations'

/** Time between counts; each count reads letters from the broker. */
const COUNT_EVERY_MS = 300_000
/** Letters examined for each agent. */
const MOST_LETTERS = 200

export interface WaitingLettersDeps {
  readonly letters: () => Pick<DeadLetters, 'list'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly log: Logger
  /** Ends a running count. */
  readonly signal: AbortSignal
}

/**
 * The number of dead letters that wait for a replay. Offsets cannot tell, because they also count replayed letters and
 * transaction markers. So the letters are read: only the newest ones, seldom, and only while somebody asks.
 */
export class WaitingLetters {
  #waiting: Readonly<Record<string, number>> = {}
  #countedMs = -Infinity
  #isCounting = false

  /**
   * Counts by agent as of the last count; empty before the first and after a failed one. Starts another count when one
   * is due.
   */
  current(deps: WaitingLettersDeps): Readonly<Record<string, number>> {
    const isDue = deps.clock.monotonic() - this.#countedMs >= COUNT_EVERY_MS
    if (isDue && !this.#isCounting && !deps.signal.aborted) void this.#count(deps)
    return this.#waiting
  }

  async #count({ letters, clock, log, signal }: WaitingLettersDeps): Promise<void> {
    this.#isCounting = true
    try {
      const found = await letters().list({ newest: 0, most: MOST_LETTERS, signal })
      this.#waiting = Object.fromEntries(found.map(({ agent, waiting }) => [agent, waiting]))
    } catch (thrown) {
      this.#waiting = {}
      log.debug({ error: toError(thrown).message }, 'Dead letters could not be counted.')
    } finally {
      this.#countedMs = clock.monotonic()
      this.#isCounting = false
    }
  }
}

import { type Clock, type Logger, toError } from '@millrace/core'
import type { DeadLetters } from '@millrace/core/operations'

/** Between two counts, for each of which letters are read from the broker. */
const COUNT_EVERY_MS = 300_000
/** Letters of each agent that are looked at. */
const MOST_LETTERS = 200

export interface WaitingLettersDeps {
  readonly letters: () => Pick<DeadLetters, 'list'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly log: Logger
  /** Ends a count under way. */
  readonly signal: AbortSignal
}

/**
 * How many dead letters wait for a replay. Only the letters themselves say: offsets count what was replayed too, and
 * markers of transactions. So they are read, not more than the newest ones and not often, and only while somebody
 * asks.
 */
export class WaitingLetters {
  #waiting: Readonly<Record<string, number>> = {}
  #countedMs = -Infinity
  #isCounting = false

  /** By agent, as of the last count; empty before there was one, or when it has failed. Begins another when it is time. */
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

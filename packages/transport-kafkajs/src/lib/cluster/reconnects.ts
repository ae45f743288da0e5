import { backoffMs, isMillraceError, raceAbort, toError, type Backoff, type Clock } from '@millrace/core'
import type { BrokerHealth } from '../kafkajs/broker-health.ts'
import type { ClusterView } from './cluster-view.ts'

/** The backoff of all retries in this driver. */
export const RETRY_BACKOFF: Backoff = { firstMs: 50, mostMs: 1_000 }

/** After this time without a failure, the next one counts as the first again. */
const CALM_MS = 5_000

/**
 * The one reconnect loop of a transport. Every operation that fails temporarily waits here; those that fail at the same
 * time share one wait and one metadata request. Never gives up by itself.
 */
export class Reconnects {
  /** A refresh succeeds when a broker can be reached. */
  readonly #view: Pick<ClusterView, 'refresh'>
  readonly #clock: Clock
  readonly #health: Pick<BrokerHealth, 'trying'>
  #failures = 0
  #lastFailureMs = -Infinity
  #round: Promise<void> | undefined
  readonly #stopping = new AbortController()

  constructor(
    view: Pick<ClusterView, 'refresh'>,
    { clock, health }: { readonly clock: Clock; readonly health: Pick<BrokerHealth, 'trying'> },
  ) {
    this.#view = view
    this.#clock = clock
    this.#health = health
  }

  /** Ends the round under way; there are no further ones. */
  stop(): void {
    this.#stopping.abort()
  }

  /**
   * Resolves when a retry makes sense: after a wait that grows while failures continue, and once a broker can be
   * reached. Rejects with the signal's reason if it aborts. `what` names the failed operation.
   */
  async wait(what: string, cause: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#round ??= this.#run(what, cause).finally(() => {
      this.#round = undefined
    })
    await raceAbort(this.#round, signal)
  }

  async #run(what: string, cause: string): Promise<void> {
    const clock = this.#clock
    let reason = cause
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const now = clock.monotonic()
      this.#failures = now - this.#lastFailureMs > CALM_MS ? 1 : this.#failures + 1
      const waitMs = Math.round(backoffMs(this.#failures, RETRY_BACKOFF, Math.random()))
      this.#lastFailureMs = now + waitMs
      this.#health.trying(what, reason)
      try {
        await clock.sleep(waitMs, signal)
        await this.#view.refresh()
        return
      } catch (error) {
        reason = isMillraceError(error) ? error.detail : toError(error).message
      }
    }
  }
}

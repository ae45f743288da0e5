import { backoffMs, isMillraceError, toError, type Backoff, type Clock, type Logger } from '@millrace/core'

/** Of all that tries again in this driver. */
export const RETRY_BACKOFF: Backoff = { firstMs: 50, mostMs: 1_000 }

/** Without a failure for so long, the next one counts as the first again. */
const CALM_MS = 5_000

export interface RecoveryDeps {
  readonly clock: Clock
  readonly log: Logger
  /** A look at the metadata: succeeds when a broker can be reached. */
  readonly refresh: () => Promise<void>
}

/**
 * The one reconnect loop of a transport. Whatever fails for a reason that passes waits here: all that fail at the same
 * time share one wait and one look at the metadata, with one warning for each try. Never gives up by itself.
 */
export class Recovery {
  readonly #deps: RecoveryDeps
  #failures = 0
  #lastFailureMs = -Infinity
  #round: Promise<void> | undefined
  readonly #stopping = new AbortController()

  constructor(deps: RecoveryDeps) {
    this.#deps = deps
  }

  /** Ends the round under way; there are no further ones. */
  stop(): void {
    this.#stopping.abort()
  }

  /**
   * Resolves when trying again makes sense: after a wait that grows while failures keep coming, once a broker can be
   * reached. Rejects with the signal's reason when that aborts. `what` says what failed.
   */
  async wait(what: string, cause: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#round ??= this.#run(what, cause).finally(() => {
      this.#round = undefined
    })
    const round = this.#round
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      void round.then(() => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
    })
  }

  async #run(what: string, cause: string): Promise<void> {
    const { clock, log, refresh } = this.#deps
    let reason = cause
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const now = clock.monotonic()
      this.#failures = now - this.#lastFailureMs > CALM_MS ? 1 : this.#failures + 1
      const waitMs = Math.round(backoffMs(this.#failures, RETRY_BACKOFF, Math.random()))
      this.#lastFailureMs = now + waitMs
      log.warn({ attempt: this.#failures, retryInMs: waitMs }, `Kafka: ${what}: ${reason} Trying again.`)
      try {
        await clock.sleep(waitMs, signal)
        await refresh()
        return
      } catch (error) {
        reason = isMillraceError(error) ? error.detail : toError(error).message
      }
    }
  }
}

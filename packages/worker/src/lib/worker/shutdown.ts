import { isMillraceError, toError } from '@millrace/core'
import { withinLimit } from '../environment/within-limit.ts'
import type { ConnectedWorker } from './connected-worker.ts'
import type { WorkerOptions } from './worker-options.ts'

/** How long a worker that fails still tries to commit what is finished. */
const LAST_COMMIT_MS = 5000
/** The same limit for a stop whose time is used up. */
const LATE_COMMIT_MS = 2500
/** How long everything that is closed may take together, after the time for a stop. */
const CLOSING_MS = 5000
/** The least for each of them when that is used up as well. It goes on closing in the background then. */
const LEAST_MS = 200

/** How a worker comes to its end. */
export type Ending = 'drained' | 'failed' | 'hard'

export interface ShutdownOptions {
  readonly options: Pick<WorkerOptions, 'clock' | 'settings' | 'log' | 'parts'>
  readonly ending: Ending
  /** Aborts when nothing more is waited for. */
  readonly signal: AbortSignal
}

/**
 * The last work of a worker, as far as the time for a stop and the way it ends allow. The time begins when this is
 * made.
 */
export class Shutdown {
  readonly #options: ShutdownOptions['options']
  readonly #ending: Ending
  readonly #signal: AbortSignal
  readonly #deadlineMs: number

  constructor({ options, ending, signal }: ShutdownOptions) {
    this.#options = options
    this.#ending = ending
    this.#signal = signal
    this.#deadlineMs = options.clock.monotonic() + options.settings.shutdownTimeoutMs
  }

  /** Lets events in flight finish, and commits what is finished. */
  async finishWork(worker: ConnectedWorker): Promise<void> {
    if (this.#signal.aborted) return
    const aborted = new Promise<false>((resolve) =>
      this.#signal.addEventListener('abort', () => resolve(false), { once: true }),
    )
    if (this.#ending === 'drained') {
      await this.#drain(worker, aborted)
      if (this.#signal.aborted) return
    }
    const limitMs = this.#ending === 'drained' ? Math.max(this.#leftMs, LATE_COMMIT_MS) : LAST_COMMIT_MS
    const commit = worker.tasks.committer.commit(worker.tasks.running)
    await this.#quietly('committing what is finished', Promise.race([commit, aborted]), limitMs)
  }

  /** Stops them in reverse order. */
  async stopParts(): Promise<void> {
    for (const part of this.#options.parts.toReversed()) await this.close(`stopping ${part.name}`, part.stop())
  }

  /**
   * What goes wrong, or does not come to an end, while the worker ends is reported and does not keep the rest from being
   * closed. All of it together takes at most 5 s more than the time for a stop, whatever hangs.
   */
  async close(what: string, work: Promise<unknown>): Promise<void> {
    await this.#quietly(what, work, Math.max(this.#leftMs + CLOSING_MS, LEAST_MS))
  }

  async #quietly(what: string, work: Promise<unknown>, limitMs: number): Promise<void> {
    const { clock, log } = this.#options
    try {
      if (!(await withinLimit(clock, limitMs, work)))
        log.warn({}, `The worker ends without waiting longer for ${what}.`)
    } catch (thrown) {
      const level = isMillraceError(thrown, 'CLOSED') ? 'debug' : 'warn'
      log[level]({ error: toError(thrown).message }, `Something went wrong while ${what}.`)
    }
  }

  get #leftMs(): number {
    return this.#deadlineMs - this.#options.clock.monotonic()
  }

  async #drain(worker: ConnectedWorker, aborted: Promise<false>): Promise<void> {
    const { settings, log } = this.#options
    const leftMs = this.#leftMs
    const [drained, resigned] = await Promise.all([
      Promise.race([worker.drain(leftMs), aborted]),
      Promise.race([worker.elections.resign(leftMs), aborted]),
    ])
    if (!resigned && !this.#signal.aborted)
      log.warn(
        {},
        `Jobs of the leader were still at work after ${settings.shutdownTimeoutMs} ms (shutdownTimeout): they run again on the next leader.`,
      )
    if (!drained)
      log.warn(
        { inHand: worker.tasks.describeInFlight() },
        `Events were still in flight after ${settings.shutdownTimeoutMs} ms (shutdownTimeout): they are handled again.`,
      )
  }
}

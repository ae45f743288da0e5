import { isMillraceError, toError, type WorkerPart } from '@millrace/core'
import { describeInHand } from '../tasks/describe-in-hand.ts'
import type { Runtime } from './runtime.ts'
import type { WorkerOptions } from './worker-options.ts'
import { withinLimit } from './within-limit.ts'

/** What a worker that fails still gives to the commit of what is finished. */
const LAST_COMMIT_MS = 5000

/** How a worker comes to its end. */
export type Ending = 'drained' | 'failed' | 'hard'

export interface ShutdownOptions {
  readonly options: Pick<WorkerOptions, 'clock' | 'settings' | 'log' | 'parts'>
  readonly ending: Ending
  /** Aborts when nothing more is waited for. */
  readonly signal: AbortSignal
}

/** The last work of a worker, as far as the time for a stop and the way it ends allow. The time begins when this is made. */
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

  /** Lets events in hand finish, and commits what is finished. */
  async finishWork(runtime: Runtime): Promise<void> {
    if (this.#signal.aborted) return
    const aborted = new Promise<false>((resolve) =>
      this.#signal.addEventListener('abort', () => resolve(false), { once: true }),
    )
    if (this.#ending === 'drained') {
      await this.#drain(runtime, aborted)
      if (this.#signal.aborted) return
    }
    const limitMs = this.#ending === 'drained' ? Math.max(this.#leftMs, LAST_COMMIT_MS) : LAST_COMMIT_MS
    const cut = withinLimit(this.#options.clock, limitMs, runtime.committer.cut(runtime.rebalance.running))
    await this.quietly('the last commit', Promise.race([cut, aborted]))
  }

  /** In the reverse of their order. */
  async stopParts(): Promise<void> {
    const { parts, clock, log } = this.#options
    const stopOne = async (part: WorkerPart): Promise<void> => {
      if (!(await withinLimit(clock, Math.max(this.#leftMs, LAST_COMMIT_MS), part.stop())))
        log.warn({ part: part.name }, `${part.name} did not stop in time.`)
    }
    for (const part of parts.toReversed()) await this.quietly(`stopping ${part.name}`, stopOne(part))
  }

  /** What goes wrong while the worker ends is told and does not keep the rest from being closed. */
  async quietly(what: string, work: Promise<unknown>): Promise<void> {
    try {
      await work
    } catch (thrown) {
      const level = isMillraceError(thrown, 'CLOSED') ? 'debug' : 'warn'
      this.#options.log[level]({ error: toError(thrown).message }, `Something went wrong while ${what}.`)
    }
  }

  get #leftMs(): number {
    return this.#deadlineMs - this.#options.clock.monotonic()
  }

  async #drain({ rebalance, elections }: Runtime, aborted: Promise<false>): Promise<void> {
    const { settings, log } = this.#options
    const leftMs = this.#leftMs
    const [drained, resigned] = await Promise.all([
      Promise.race([rebalance.drain(leftMs), aborted]),
      Promise.race([elections.resign(leftMs), aborted]),
    ])
    if (!resigned && !this.#signal.aborted)
      log.warn(
        {},
        `Jobs of the leader were still at work after ${settings.shutdownTimeoutMs} ms (shutdownTimeout): they run again on the next leader.`,
      )
    if (!drained)
      log.warn(
        { inHand: describeInHand(rebalance.running) },
        `Events were still in hand after ${settings.shutdownTimeoutMs} ms (shutdownTimeout): they are handled again.`,
      )
  }
}

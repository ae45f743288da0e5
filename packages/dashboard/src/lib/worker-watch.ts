import type { Scheduled } from '@millrace/core'
import type { JobView } from '@millrace/core/operations'
import { assignmentAnswer, type AssignmentAnswer, type SiteStats, type SiteTools, type SiteWorker } from '@millrace/web'
import { History, pointOf, type HistoryPoint } from './history.ts'
import { problemsOf, type Problem } from './problems.ts'
import { countsOf, Rates, withRates } from './rates.ts'

const TICK_MS = 1_000
const FIVE_MINUTES_MS = 300_000
/** Lag is compared with its value this long ago. */
const TREND_MS = 30_000

type WatchTools = Pick<SiteTools, 'site' | 'stats'>

/** Everything that the page shows of one worker; changes every second. */
export interface WatchedWorker {
  readonly stats: SiteStats
  readonly jobs: readonly JobView[]
  readonly assignment: AssignmentAnswer
  readonly problems: readonly Problem[]
  /** The newest sample. */
  readonly point: HistoryPoint | undefined
}

/** Reads a worker's statistics once a second, keeps their history and rates, and notifies listeners. */
export class WorkerWatch {
  readonly history: History = new History()
  readonly #tools: WatchTools
  readonly #worker: SiteWorker
  readonly #rates = new Rates()
  readonly #listeners = new Set<() => void>()
  /** The error count at each point of the last five minutes. */
  readonly #errors: { readonly at: number; readonly errors: number }[] = []
  #timer: Scheduled | undefined
  #nextMs: number
  #closed = false

  constructor(tools: WatchTools, worker: SiteWorker) {
    this.#tools = tools
    this.#worker = worker
    this.#nextMs = tools.site.surroundings.clock.monotonic()
    this.#tick()
  }

  get closed(): boolean {
    return this.#closed
  }

  withRates(stats: SiteStats): SiteStats {
    return withRates(stats, this.#rates, this.#errorsSince(stats.errors))
  }

  answer(): WatchedWorker {
    const worker = this.#worker
    const stats = this.withRates(this.#tools.stats(worker))
    const assignment = assignmentAnswer(worker.assignment())
    const problems = problemsOf(stats, {
      nowMs: this.#tools.site.surroundings.clock.now(),
      lagBefore: this.history.before(TREND_MS)?.lag,
      unassigned: assignment.unassigned,
    })
    return {
      stats,
      jobs: worker.jobs(),
      assignment,
      problems,
      point: this.history.last,
    }
  }

  /** Calls `fn` after every sample and when no more follow; the returned function unsubscribes. */
  listen(fn: () => void): () => void {
    this.#listeners.add(fn)
    return () => void this.#listeners.delete(fn)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    this.#notify()
  }

  #tick(): void {
    const { clock, log } = this.#tools.site.surroundings
    const nowMs = clock.monotonic()
    try {
      this.#sample(nowMs)
    } catch (thrown) {
      log.debug({ error: String(thrown) }, 'The statistics of the worker could not be read.')
    }
    // After a suspension of the process, missed samples are not made up.
    this.#nextMs = Math.max(this.#nextMs + TICK_MS, nowMs)
    this.#timer = clock.schedule(this.#nextMs - nowMs, () => this.#tick())
    this.#notify()
  }

  #sample(nowMs: number): void {
    const stats = this.#tools.stats(this.#worker)
    const at = this.#tools.site.surroundings.clock.now()
    this.#rates.add(nowMs, countsOf(stats))
    const point: HistoryPoint = pointOf(stats, this.#rates, { at, errors: this.#errorsSince(stats.errors) })
    this.history.add(point)
    this.#errors.push({ at, errors: stats.errors })
    const first = this.#errors[0]
    if (first !== undefined && at - first.at > FIVE_MINUTES_MS) this.#errors.shift()
  }

  #errorsSince(errors: number): number {
    return Math.max(errors - (this.#errors[0]?.errors ?? 0), 0)
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }
}

/**
 * The watches over this process's workers. Watching starts when a worker's site is served or its history is requested.
 */
export class Watches {
  readonly #tools: WatchTools
  readonly #byWorker = new Map<SiteWorker, WorkerWatch>()

  constructor(tools: WatchTools) {
    this.#tools = tools
  }

  /** The watch over a worker; started if missing. */
  over(worker: SiteWorker): WorkerWatch {
    const existing = this.find(worker)
    if (existing !== undefined) return existing
    const watch = new WorkerWatch(this.#tools, worker)
    this.#byWorker.set(worker, watch)
    worker.context.signal.addEventListener('abort', () => this.end(worker), { once: true })
    return watch
  }

  /** `undefined` if nobody has asked for it. */
  find(worker: SiteWorker): WorkerWatch | undefined {
    const watch = this.#byWorker.get(worker)
    // Its worker is gone, and nobody called `end`.
    if (watch !== undefined && watch.listeners === 0 && isOver(worker)) this.end(worker)
    return this.#byWorker.get(worker)
  }

  end(worker: SiteWorker): void {
    this.#byWorker.get(worker)?.close()
    this.#byWorker.delete(worker)
  }
}

function isOver(worker: SiteWorker): boolean {
  const { status } = worker.stats()
  return status === 'stopped' || status === 'failed'
}

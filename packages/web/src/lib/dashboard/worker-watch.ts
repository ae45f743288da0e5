import type { Scheduled } from '@millrace/core'
import { assignmentAnswer } from '../built-in/assignment.ts'
import { statsOf, type StatsAnswer } from '../built-in/stats.ts'
import type { SiteDeps, SiteWorker } from '../site/site-deps.ts'
import { History, type HistoryPoint } from './history.ts'
import type { WorkerAnswer } from './live-answer.ts'
import { problemsOf } from './problems.ts'
import { Rates } from './rates.ts'
import { countsOf, pointOf, withRates } from './worker-stats.ts'

const TICK_MS = 1_000
const FIVE_MINUTES_MS = 300_000
/** Lag is compared with what it was so long ago. */
const TREND_MS = 30_000

export interface WatchDeps {
  readonly site: SiteDeps
  readonly worker: SiteWorker
  /** In the scope of the worker, so that tables tell of its own partitions. */
  readonly inScope: <T>(work: () => T) => T
}

/** Looks at a worker once a second: keeps the history of its figures, their rates, and tells who listens. */
export class WorkerWatch {
  readonly history: History = new History()
  readonly #deps: WatchDeps
  readonly #rates = new Rates()
  readonly #listeners = new Set<() => void>()
  /** Of errors at each point, to tell those of the last five minutes. */
  readonly #errors: { readonly at: number; readonly errors: number }[] = []
  #timer: Scheduled | undefined
  #nextMs: number
  #closed = false

  constructor(deps: WatchDeps) {
    this.#deps = deps
    this.#nextMs = deps.site.clock.monotonic()
    this.#tick()
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Statistics with rates. */
  stats(): StatsAnswer {
    const { site, worker, inScope } = this.#deps
    const stats = inScope(() => statsOf(site, worker))
    return withRates(stats, this.#rates, this.#errorsSince(stats.errors))
  }

  answer(): WorkerAnswer {
    const { site, worker } = this.#deps
    const stats = this.stats()
    const assignment = assignmentAnswer(worker.assignment())
    const problems = problemsOf(stats, {
      nowMs: site.clock.now(),
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

  /** Called after every look, and when there will be no more. The function returned ends that. */
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
    this.#tell()
  }

  #tick(): void {
    const { clock, log } = this.#deps.site
    const nowMs = clock.monotonic()
    try {
      this.#look(nowMs)
    } catch (thrown) {
      log.debug({ error: String(thrown) }, 'The figures of the worker could not be read.')
    }
    // A process that slept does not catch up.
    this.#nextMs = Math.max(this.#nextMs + TICK_MS, nowMs)
    this.#timer = clock.schedule(this.#nextMs - nowMs, () => this.#tick())
    this.#tell()
  }

  #look(nowMs: number): void {
    const { site, worker, inScope } = this.#deps
    const stats = inScope(() => statsOf(site, worker))
    const at = site.clock.now()
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

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

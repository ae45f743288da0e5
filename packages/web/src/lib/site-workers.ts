import type { TimeStats } from '@millrace/core'
import type { DeadLetters } from '@millrace/core/operations'
import type {
  AgentHistograms,
  AgentStats,
  AssignmentView,
  HandlingTime,
  PausedStats,
  ProcessingContext,
  Worker,
  WaitingEvents,
  WorkerContext,
  WorkerStats,
} from '@millrace/worker'
import { WaitingLetters } from './metrics/waiting-letters.ts'
import { unavailable } from './pages/page-error.ts'
import type { SiteApp, SiteWorker } from './site-app.ts'

/** What an agent's own part counts. */
interface OwnCounts extends Omit<AgentStats, 'lag' | 'handling' | 'waiting'> {
  /** Events that have left their partitions after a failed attempt, and those that have left them to wait behind another one. */
  readonly delayed?: number
  readonly queued?: number
}

/** A worker and its parts that a site asks; the parts of `worker`, `streams` and `scheduler` fit. */
export interface SiteWorkerParts extends Pick<SiteWorker, 'startedAt' | 'address'> {
  /** Looked up on use, because parts are created before their worker. */
  readonly worker: () => {
    readonly context: WorkerContext
    stats(): WorkerStats
    commitTimes(): TimeStats
    assignment(): AssignmentView
    progressOf: Worker['progressOf']
    groupSecret(): string | undefined
  }
  readonly agents: {
    counts(): Readonly<Record<string, OwnCounts>>
    waiting(): Readonly<Record<string, WaitingEvents>>
    handling(): Readonly<Record<string, HandlingTime>>
    histograms(): Readonly<Record<string, AgentHistograms>>
    pauses(): Readonly<Record<string, PausedStats>>
  }
  readonly jobs: Pick<SiteWorker, 'jobs' | 'trigger' | 'pause' | 'resume' | 'pauseAgent' | 'resumeAgent'>
  /** Counts dead letters over the worker's own connections; omitted if there are none to count. */
  readonly letters?: () => Pick<DeadLetters, 'list'>
}

/**
 * What a site shows of a worker. Agents have their own counters, because the worker cannot see everything: it counts a
 * dead letter like any other event, and knows nothing of agents of channels. An event that has left its partition to wait is
 * finished there, and is another event when it comes back.
 */
export function siteWorker(parts: SiteWorkerParts): SiteWorker {
  const { worker, agents, jobs, startedAt, letters } = parts
  const waiting = new WaitingLetters()
  return {
    get context() {
      return worker().context
    },
    startedAt,
    stats() {
      const stats = worker().stats()
      const handling = agents.handling()
      const waiting = agents.waiting()
      const pauses = agents.pauses()
      const own = Object.entries(agents.counts()).map(([name, counts]) => {
        const time = handling[name]
        const paused = pauses[name]
        const counted = stats.agents[name] ?? { ...counts, lag: 0 }
        const { deadLettered, late = 0 } = counts
        const waits = waiting[name]
        return [
          name,
          {
            ...(waits === undefined ? counted : withWaiting(counted, counts)),
            deadLettered,
            ...(late === 0 ? {} : { late }),
            ...(waits === undefined ? {} : { waiting: waits }),
            ...(time === undefined ? {} : { handling: time }),
            ...(paused === undefined ? {} : { paused }),
          },
        ] as const
      })
      return { ...stats, agents: Object.fromEntries(own) }
    },
    histograms: () => ({ agents: agents.histograms(), commits: worker().commitTimes() }),
    assignment: () => worker().assignment(),
    progressOf: (state, partition, event) => worker().progressOf(state, partition, event),
    groupSecret: () => worker().groupSecret(),
    waitingLetters() {
      if (letters === undefined) return {}
      const { clock, log, signal } = worker().context
      return waiting.current({ letters, clock, log, signal })
    },
    jobs: () => jobs.jobs(),
    trigger: (job) => jobs.trigger(job),
    pause: (job, note) => jobs.pause(job, note),
    resume: (job) => jobs.resume(job),
    pauseAgent: (agent, note) => jobs.pauseAgent(agent, note),
    resumeAgent: (agent) => jobs.resumeAgent(agent),
    address: () => parts.address(),
  }
}

/** Counts each event once, however often it has waited. */
function withWaiting(counted: AgentStats, { received, delayed = 0, queued = 0 }: OwnCounts): AgentStats {
  const processed = counted.processed - delayed - queued
  return { ...counted, received, processed, retried: counted.retried + delayed }
}

/** The workers of this process, and which of them was asked. */
export class SiteWorkers {
  readonly #site: Pick<SiteApp, 'contexts' | 'workers'>

  constructor(site: Pick<SiteApp, 'contexts' | 'workers'>) {
    this.#site = site
  }

  all(): readonly SiteWorker[] {
    return this.#site.workers()
  }

  /** The worker that was asked; `undefined` in a process without workers. */
  askedIfAny(): SiteWorker | undefined {
    const context = this.#site.contexts.getStore()?.worker
    const workers = this.all()
    return workers.find((worker) => worker.context === context) ?? workers[0]
  }

  /** As `current`; throws a `PageError` 503 if there is none. */
  asked(): SiteWorker {
    const worker = this.askedIfAny()
    if (worker === undefined) throw unavailable('No worker runs in this process.')
    return worker
  }

  /** Runs `work` in the context of this worker, so that tables are its own. */
  within<T>(worker: SiteWorker | undefined, work: () => T): T {
    if (worker === undefined) return work()
    const contexts: ProcessingContext = {
      client: worker.context,
      worker: worker.context,
      event: undefined,
      agent: undefined,
    }
    return this.#site.contexts.run(contexts, work)
  }
}

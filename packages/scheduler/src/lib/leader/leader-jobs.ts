import { toError } from '@millrace/core'
import type { Leadership, WorkerContext } from '@millrace/worker'
import { describeJob, type Job } from '../jobs/job.ts'
import type { Beginning, JobRunner } from '../runs/job-runner.ts'
import { CronTimetable } from '../timetables/cron-timetable.ts'
import { TimerTimetable } from '../timetables/timer-timetable.ts'
import { LATE_LIMIT_MS, momentOf, type Moment } from '../timetables/timetable.ts'
import type { JobRecord } from './job-record.ts'
import { Term } from './term.ts'

export interface LeaderJobsOptions {
  readonly worker: WorkerContext
  /** The topic where leaders store what ran. */
  readonly topic: string
  readonly random: () => number
  /** The jobs of the leader only. */
  readonly runners: readonly JobRunner[]
  /** Whether the worker is ready and not stopping. */
  readonly mayBegin: () => boolean
  /** Called when something may be due now. */
  readonly onBegun: () => void
  /** Called when none of these jobs is due any more. */
  readonly onLost: () => void
}

/** The jobs of the leader on this worker. While it leads, they continue from the records of earlier leaders. */
export class LeaderJobs {
  readonly #deps: LeaderJobsOptions
  #term: Term | undefined
  /** The term in which the jobs run. */
  #begunIn: Term | undefined

  constructor(deps: LeaderJobsOptions) {
    this.#deps = deps
  }

  elected(leadership: Leadership): void {
    const { worker, topic, random } = this.#deps
    const term = new Term({ worker, topic, leadership, random, onOpened: () => this.begin() })
    this.#term = term
    leadership.signal.addEventListener('abort', () => this.#lost(term), { once: true })
    term.run().catch((thrown: unknown) => worker.fail(toError(thrown)))
  }

  /** Called once the worker is ready and the term has read what ran. */
  begin(): void {
    const { worker, runners, mayBegin, onBegun } = this.#deps
    const term = this.#term
    if (term === undefined || !term.isOpen || !mayBegin()) return
    const now = momentOf(worker.clock)
    const isAgain = this.#begunIn === term
    this.#begunIn = term
    for (const runner of runners) {
      const { job } = runner
      const record = term.record(job.name)
      // The log was read again within a term: timetables continue, but a claim that was never acknowledged may have
      // been written.
      if (isAgain) runner.runAgain(record?.open ?? [])
      else
        runner.begin({ ...beginOnLeader(job, record, { now, groupLife: term.leadership.groupLife }), registry: term })
      if (job.kind === 'cron' && job.catchUp !== 'none') void this.#note(term, job, now)
    }
    onBegun()
  }

  /** Ends the runs and then the term voluntarily. */
  async resign(reason: unknown): Promise<void> {
    const { runners } = this.#deps
    for (const runner of runners) runner.stop(reason)
    await Promise.all(runners.map((runner) => runner.settled()))
    await this.#term?.resign()
  }

  /** Claimed early so that slots are caught up from now on, not only from the first run on. */
  async #note(term: Term, job: Job, now: Moment): Promise<void> {
    try {
      await term.note(job.name, now.wallMs)
    } catch (thrown) {
      this.#deps.worker.log.debug(
        { job: job.name, error: toError(thrown).message },
        `The start of ${describeJob(job)} could not be noted.`,
      )
    }
  }

  #lost(term: Term): void {
    if (this.#term !== term) return
    this.#term = undefined
    for (const runner of this.#deps.runners) runner.suspend(term.leadership.signal.reason)
    this.#deps.onLost()
  }
}

/** How a job continues under a new leader, from the records of earlier leaders. */
function beginOnLeader(
  job: Job,
  record: JobRecord | undefined,
  { now, groupLife }: { readonly now: Moment; readonly groupLife: string },
): Omit<Beginning, 'registry'> {
  const open = record?.open ?? []
  const runsBefore = record?.runs ?? 0
  switch (job.kind) {
    case 'task': {
      const ranInThisLife = record !== undefined && record.life === groupLife
      const slots = ranInThisLife ? open : [Math.max(now.wallMs, (record?.upToMs ?? 0) + 1)]
      return { timetable: undefined, slots, runsBefore }
    }
    case 'timer': {
      const timetable =
        record === undefined
          ? TimerTimetable.from(job.everyMs, now)
          : TimerTimetable.after(job.everyMs, record.upToMs, now)
      return { timetable, slots: open, runsBefore }
    }
    case 'cron': {
      const { wallMs } = now
      const upToMs = record?.upToMs ?? wallMs
      const fromMs = job.catchUp === 'none' ? Math.max(upToMs, wallMs - LATE_LIMIT_MS) : upToMs
      return { timetable: new CronTimetable(job, fromMs), slots: open, runsBefore }
    }
  }
}

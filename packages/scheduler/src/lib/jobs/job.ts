import type { CronSchedule } from '../schedule/next-slot.ts'

/** What a job's function gets. */
export interface JobContext {
  /** Name of the job. */
  readonly job: string
  /**
   * The scheduled time of this run. The run may have begun later: because of jitter, or because the worker was busy or
   * away.
   */
  readonly slot: Date
  /** Aborts when the worker stops, at the job's timeout, when the lead is lost, and when a later run takes over. */
  readonly signal: AbortSignal
}

/** A job's function. It may be asynchronous; its result is ignored. */
export type JobFunction = (context: JobContext) => unknown

/**
 * What happens when a slot comes while the job still runs: `skip` it, keep one (`queue-one`) or all of them
 * (`queue-all`, at most 1,000) for later, abort the current run and begin when it has ended (`cancel-previous`), or run
 * both (`allow`).
 */
export type Overlap = 'skip' | 'queue-one' | 'queue-all' | 'cancel-previous' | 'allow'

/** Which of the slots that passed while nobody led run later: none, the latest, or all. */
export type CatchUp = 'none' | 'latest' | 'all'

interface AnyJob {
  readonly name: string
  readonly fn: JobFunction
  /** Runs on one worker of the group, the leader. */
  readonly onLeader: boolean
  readonly overlap: Overlap
  readonly jitterMs: number
  /** `undefined`: no limit. */
  readonly timeoutMs: number | undefined
}

/** Runs once, when the worker is ready. */
export interface TaskJob extends AnyJob {
  readonly kind: 'task'
}

/** Runs at a fixed rate. */
export interface TimerJob extends AnyJob {
  readonly kind: 'timer'
  readonly everyMs: number
}

/** Runs by the calendar and the clock of a time zone. */
export interface CronJob extends AnyJob {
  readonly kind: 'cron'
  readonly expression: string
  readonly schedule: CronSchedule
  readonly catchUp: CatchUp
  /** How late a slot may be caught up. */
  readonly withinMs: number
  /** Maximum number of runs; `Infinity` for no limit. */
  readonly limit: number
}

/** A task, timer or cron job: a descriptor that lives as long as the app. */
export type Job = TaskJob | TimerJob | CronJob

/** The job's name for messages: `cron job "daily"`. */
export function describeJob({ kind, name }: Pick<Job, 'kind' | 'name'>): string {
  return `${kind === 'cron' ? 'cron job' : kind} "${name}"`
}

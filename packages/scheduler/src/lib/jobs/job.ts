import type { CronSchedule } from '../schedule/next-slot.ts'

/** What a job's function is given. */
export interface JobContext {
  /** Name of the job. */
  readonly job: string
  /** The time that this run stands for. It may have begun later: by jitter, or because the worker was busy or away. */
  readonly slot: Date
  /** Aborts when the worker stops, at the job's timeout, when the lead is lost, and when a later run takes over. */
  readonly signal: AbortSignal
}

/** What a job does. It may be asynchronous; what it returns is not looked at. */
export type JobFunction = (context: JobContext) => unknown

/**
 * What happens when a slot comes while the job still runs: `skip` it, keep one (`queue-one`) or all of them (`queue-all`,
 * at most 1,000) for later, abort the run under way and begin when it has ended (`cancel-previous`), or run both (`allow`).
 */
export type Overlap = 'skip' | 'queue-one' | 'queue-all' | 'cancel-previous' | 'allow'

/** Which slots run later that passed while nobody led: none, the latest, or all of them. */
export type CatchUp = 'none' | 'latest' | 'all'

interface AnyJob {
  readonly name: string
  readonly fn: JobFunction
  /** One worker of the group runs it, the leader. */
  readonly onLeader: boolean
  readonly overlap: Overlap
  readonly jitterMs: number
  /** `undefined`: as long as it takes. */
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

/** Runs when a calendar and a clock on a wall say so. */
export interface CronJob extends AnyJob {
  readonly kind: 'cron'
  readonly expression: string
  readonly schedule: CronSchedule
  readonly catchUp: CatchUp
  /** How late a slot may be caught up. */
  readonly withinMs: number
  /** Runs at most; `Infinity` for no bound. */
  readonly limit: number
}

/** A task, timer or cron job: a descriptor, which lives as long as the app. */
export type Job = TaskJob | TimerJob | CronJob

/** For messages: `cron job "daily"`. */
export function describeJob({ kind, name }: Pick<Job, 'kind' | 'name'>): string {
  return `${kind === 'cron' ? 'cron job' : kind} "${name}"`
}

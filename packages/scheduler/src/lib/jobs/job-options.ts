import type { Duration, OptionNames } from '@millrace/core'
import type { CatchUp, Overlap } from './job.ts'

/** Options of `app.task`. */
export interface TaskOptions {
  /** Default: the function's name. */
  readonly name?: string | undefined
  /**
   * Run once for the whole group, on its leader, instead of once on each worker. It runs again only after a time
   * without any worker in the group. A run that has not finished when the lead is lost or the leader stops begins again
   * on the next leader. Default false.
   */
  readonly onLeader?: boolean | undefined
  /** Aborts `signal` after this time. Default: none. */
  readonly timeout?: Duration | undefined
}

/** Options of `app.timer`. */
export interface TimerOptions {
  /** Default: the function's name. */
  readonly name?: string | undefined
  /** Run on one worker, the leader of the group. Default false. */
  readonly onLeader?: boolean | undefined
  /** Default `'skip'`. */
  readonly overlap?: Overlap | undefined
  /** Delays each run by a random time below this, but never past the next slot. Default 0. */
  readonly jitter?: Duration | undefined
  /** Aborts `signal` after this time. Default: none. */
  readonly timeout?: Duration | undefined
}

/** Options of `app.crontab`. */
export interface CrontabOptions extends TimerOptions {
  /** IANA name of the time zone of the expression. Default `'UTC'`. */
  readonly timezone?: string | undefined
  /** Which slots that passed while nobody led run later. Needs `onLeader`. Default `'none'`. */
  readonly catchUp?: CatchUp | undefined
  /** How late a slot may be caught up. Default: no limit, but never more than the latest 1,000 slots. */
  readonly within?: Duration | undefined
  /** No slots before this time. */
  readonly start?: Date | undefined
  /** No slots after this time. */
  readonly end?: Date | undefined
  /** Maximum number of runs: on each worker or, with `onLeader`, in total. */
  readonly limit?: number | undefined
}

export const TASK_OPTIONS: OptionNames<TaskOptions> = { name: true, onLeader: true, timeout: true }

export const TIMER_OPTIONS: OptionNames<TimerOptions> = { ...TASK_OPTIONS, overlap: true, jitter: true }

export const CRONTAB_OPTIONS: OptionNames<CrontabOptions> = {
  ...TIMER_OPTIONS,
  timezone: true,
  catchUp: true,
  within: true,
  start: true,
  end: true,
  limit: true,
}

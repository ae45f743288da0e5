import type { DefinedNames, Duration } from '@millrace/core'
import { createCrontab, createTask, createTimer } from './jobs/create-jobs.ts'
import type { CrontabOptions, TaskOptions, TimerOptions } from './jobs/job-options.ts'
import type { CronJob, Job, JobFunction, TaskJob, TimerJob } from './jobs/job.ts'

/** How an app declares tasks, timers and cron jobs. */
export interface JobDeclarations {
  /**
   * Declares a function that runs once when the worker has joined and recovered; with `onLeader`, once in the whole
   * group.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `DURATION_INVALID`, `DEFINITION_LATE`
   * @example
   * app.task(async function onStarted() { console.log('APP STARTED') })
   */
  task(fn: JobFunction): TaskJob
  task(options: TaskOptions, fn: JobFunction): TaskJob

  /**
   * Declares a function that runs at a fixed rate, without drift and without overlapping itself unless `overlap` says so.
   *
   * @throws as `task`
   * @example
   * app.timer('10s', async function everyTen() { console.log('WAKE UP') })
   */
  timer(every: Duration, fn: JobFunction): TimerJob
  timer(every: Duration, options: TimerOptions, fn: JobFunction): TimerJob

  /**
   * Declares a function that runs by a crontab expression: 5 fields, 6 with seconds first, or a nickname such as
   * `@daily`.
   *
   * @throws as `task`; `CRON_INVALID`, `TIME_ZONE_UNKNOWN`
   * @example
   * app.crontab('0 20 * * *', { timezone: 'America/Los_Angeles', onLeader: true }, async function daily({ slot }) { … })
   */
  crontab(expression: string, fn: JobFunction): CronJob
  crontab(expression: string, options: CrontabOptions, fn: JobFunction): CronJob
}

/** The app's job declarations. */
interface JobDefinitions extends DefinedNames {
  readonly jobs: Map<string, Job>
}

export function declareJobs(definitions: JobDefinitions): JobDeclarations {
  // Jobs of all kinds share one topic of records, so their names must differ.
  const add = <J extends Job>(kind: string, job: J): J =>
    definitions.add(kind, { into: definitions.jobs, name: job.name, among: 'job' }, () => job)
  return {
    task: (...given: [JobFunction] | [TaskOptions, JobFunction]) => add('task', createTask(...withOptions(given))),
    timer: (every: Duration, ...given: [JobFunction] | [TimerOptions, JobFunction]) =>
      add('timer', createTimer(every, ...withOptions(given))),
    crontab: (expression: string, ...given: [JobFunction] | [CrontabOptions, JobFunction]) =>
      add('cron job', createCrontab(expression, ...withOptions(given))),
  }
}

function withOptions<O extends object>(
  given: [JobFunction] | [O, JobFunction],
): [O | Record<string, never>, JobFunction] {
  return given.length === 1 ? [{}, ...given] : given
}

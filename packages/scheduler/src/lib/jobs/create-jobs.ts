import { MillraceError, parseDuration, type Duration } from '@millrace/core'
import { nextDate } from '../schedule/match-date.ts'
import { invalid, parseCron } from '../schedule/parse-cron.ts'
import type { CronSchedule } from '../schedule/next-slot.ts'
import { openZone } from '../schedule/zone.ts'
import { describeJob, type CatchUp, type CronJob, type JobFunction, type TaskJob, type TimerJob } from './job.ts'
import {
  CRONTAB_OPTIONS,
  TASK_OPTIONS,
  TIMER_OPTIONS,
  type CrontabOptions,
  type TaskOptions,
  type TimerOptions,
} from './job-options.ts'
import { jobName, positiveDuration, readCommon } from './read-options.ts'

const CATCH_UPS: readonly CatchUp[] = ['none', 'latest', 'all']

/**
 * A job that runs once, when the worker has joined and recovered.
 *
 * @throws `NAME_INVALID`, `DURATION_INVALID`, `DEFINITION_INVALID`, naming the job
 * @example
 * createTask({ onLeader: true }, async function seed({ signal }) { … })
 */
export function createTask(options: TaskOptions, fn: JobFunction): TaskJob {
  const name = jobName('task', { options, known: TASK_OPTIONS }, fn)
  return { kind: 'task', fn, ...readCommon('task', name, options) }
}

/**
 * A job that runs at a fixed rate, first after one interval. The rate follows the monotonic clock, so runs do not
 * drift. A slot that comes while the job still runs is skipped and counted, unless `overlap` says otherwise.
 *
 * @throws `NAME_INVALID`, `DURATION_INVALID`, `DEFINITION_INVALID`, naming the job
 * @example
 * createTimer('10s', {}, async function everyTen({ signal }) { … })
 */
export function createTimer(every: Duration, options: TimerOptions, fn: JobFunction): TimerJob {
  const name = jobName('timer', { options, known: TIMER_OPTIONS }, fn)
  const everyMs = positiveDuration(every, `interval of ${describeJob({ kind: 'timer', name })}`)
  return { kind: 'timer', fn, everyMs, ...readCommon('timer', name, options) }
}

/**
 * A job that runs by the calendar and clock of a time zone. 5 fields, 6 with seconds first, or a nickname such as
 * `@daily`.
 *
 * When clocks are put forward, a fixed hour in the gap is skipped. When they are put back, a fixed hour that occurs
 * twice runs the first time only. With an open hour (`*`), the job runs through both.
 *
 * @throws `CRON_INVALID` (also for a date that never comes), `TIME_ZONE_UNKNOWN`, `NAME_INVALID`, `DURATION_INVALID`,
 *   `DEFINITION_INVALID`, naming the job
 * @example
 * createCrontab('0 20 * * *', { timezone: 'America/Los_Angeles', onLeader: true }, async function daily({ slot }) { … })
 */
export function createCrontab(expression: string, options: CrontabOptions, fn: JobFunction): CronJob {
  const name = jobName('cron', { options, known: CRONTAB_OPTIONS }, fn)
  const job = describeJob({ kind: 'cron', name })
  const common = readCommon('cron', name, options)
  const { catchUp = 'none', within, limit = Infinity } = options
  if (!CATCH_UPS.includes(catchUp))
    throw new MillraceError(
      'DEFINITION_INVALID',
      `catchUp of ${job} is ${JSON.stringify(catchUp)}; it can be ${CATCH_UPS.join(', ')}.`,
    )
  if (catchUp !== 'none' && !common.onLeader)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `catchUp of ${job} needs onLeader: true: only the leader records which slots have run.`,
    )
  if (within !== undefined && catchUp === 'none')
    throw new MillraceError('DEFINITION_INVALID', `within of ${job} has no meaning without catchUp.`)
  if (limit !== Infinity && !(Number.isSafeInteger(limit) && limit > 0))
    throw new MillraceError('DEFINITION_INVALID', `limit of ${job} is ${limit}; it must be a whole number above 0.`)
  return {
    kind: 'cron',
    fn,
    expression,
    schedule: readSchedule(expression, options, job),
    catchUp,
    withinMs: within === undefined ? Infinity : parseDuration(within, `within of ${job}`),
    limit,
    ...common,
  }
}

function readSchedule(expression: string, { timezone = 'UTC', start, end }: CrontabOptions, job: string): CronSchedule {
  const fields = parseCron(expression, job)
  if (nextDate(fields, 0) === undefined) throw invalid(expression, job, 'no date ever matches it')
  const [startMs, endMs] = [instant(start, `start of ${job}`), instant(end, `end of ${job}`)]
  if (startMs !== undefined && endMs !== undefined && endMs < startMs)
    throw new MillraceError('DEFINITION_INVALID', `end of ${job} is before its start.`)
  return { fields, zone: openZone(timezone, job), startMs, endMs }
}

function instant(date: Date | undefined, what: string): number | undefined {
  if (date === undefined) return undefined
  const ms = date instanceof Date ? date.getTime() : Number.NaN
  if (Number.isFinite(ms)) return ms
  throw new MillraceError('DEFINITION_INVALID', `${what} is not a valid Date.`)
}

import type { Duration } from '@millrace/core'
import type { JobFunction, TimerJob } from './job.ts'
import { type TimerOptions, TIMER_OPTIONS } from './job-options.ts'
import { describeJob } from './job.ts'
import { jobName, positiveDuration, readCommon } from './read-options.ts'

/**
 * A job that runs at a fixed rate, first after one interval. The rate is kept on the clock that only goes forward: runs
 * do not drift, and a slot that comes while the job still runs is skipped and counted, unless `overlap` says otherwise.
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

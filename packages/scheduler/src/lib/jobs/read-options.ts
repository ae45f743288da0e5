import { MillraceError, parseDuration, validateName, type Duration } from '@millrace/core'
import { describeJob, type Job, type JobFunction, type Overlap } from './job.ts'
import type { TimerOptions } from './job-options.ts'

const OVERLAPS: readonly Overlap[] = ['skip', 'queue-one', 'queue-all', 'cancel-previous', 'allow']

/** The name given, else that of the function. */
export function jobName(kind: Job['kind'], options: { readonly name?: string }, fn: JobFunction): string {
  const what = kind === 'cron' ? 'cron job' : kind
  if (typeof fn !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `A ${what} needs a function as its last argument.`)
  const name = options.name ?? fn.name
  if (name === '')
    throw new MillraceError(
      'NAME_INVALID',
      `A ${what} has no name: give it a function with a name, or the option name.`,
    )
  return validateName(what, name)
}

/** The options that all jobs share, checked. */
export function readCommon(
  kind: Job['kind'],
  name: string,
  options: TimerOptions,
): Pick<Job, 'name' | 'onLeader' | 'overlap' | 'jitterMs' | 'timeoutMs'> {
  const job = describeJob({ kind, name })
  const { onLeader = false, overlap = 'skip', jitter = 0, timeout } = options
  if (!OVERLAPS.includes(overlap))
    throw new MillraceError(
      'DEFINITION_INVALID',
      `overlap of ${job} is ${JSON.stringify(overlap)}; it can be ${OVERLAPS.join(', ')}.`,
    )
  return {
    name,
    onLeader,
    overlap,
    jitterMs: parseDuration(jitter, `jitter of ${job}`),
    timeoutMs: timeout === undefined ? undefined : positiveDuration(timeout, `timeout of ${job}`),
  }
}

/** @throws `DURATION_INVALID` also for 0 */
export function positiveDuration(value: Duration, where: string): number {
  const ms = parseDuration(value, where)
  if (ms > 0) return ms
  throw new MillraceError(
    'DURATION_INVALID',
    `The duration of ${where} is ${JSON.stringify(value)}; it must be more than 0.`,
  )
}

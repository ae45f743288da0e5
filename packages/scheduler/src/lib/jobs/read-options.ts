import {
  checkOptions,
  MillraceError,
  parseDuration,
  validateName,
  type Duration,
  type OptionNames,
} from '@millrace/core'
import { describeJob, type Job, type JobFunction, type Overlap } from './job.ts'
import type { CrontabOptions, TimerOptions } from './job-options.ts'

const OVERLAPS: readonly Overlap[] = ['skip', 'queue-one', 'queue-all', 'cancel-previous', 'allow']

/**
 * The given name, or otherwise the function's; refuses unknown options.
 *
 * @throws `NAME_INVALID`, `DEFINITION_INVALID`
 */
export function jobName(
  kind: Job['kind'],
  { options, known }: { readonly options: CrontabOptions; readonly known: OptionNames<object> },
  fn: JobFunction,
): string {
  const what = kind === 'cron' ? 'cron job' : kind
  if (typeof fn !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `A ${what} needs a function as its last argument.`)
  const name = namedIn(options) ?? fn.name
  if (name === '')
    throw new MillraceError(
      'NAME_INVALID',
      `A ${what} has no name: give it a function with a name, or the option name.`,
    )
  validateName(what, name)
  checkOptions(describeJob({ kind, name }), options, known)
  return name
}

/** A value that is not an object is refused later, in a message that needs the name. */
function namedIn(options: CrontabOptions | null): string | undefined {
  return options?.name
}

/** The checked options that all jobs share. */
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

import type { ErrorCode } from '../errors/error-table.ts'
import { MillraceError } from '../errors/millrace-error.ts'
import { shownValue } from '../errors/shown-value.ts'
import { UnitText } from './unit-text.ts'

/**
 * A length of time: milliseconds as a number, or text with a unit.
 *
 * @example
 * const interval: Duration = '250ms' // or 250, '10s', '5m', '1.5h', '1d'
 */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const TIMES = new UnitText(
  /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/i,
  [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ],
  'ms',
)

/**
 * A duration in milliseconds. Text without a unit, as in an environment variable, is milliseconds too.
 *
 * @param where what the duration belongs to, for the message: `setting commitInterval`
 * @throws `DURATION_INVALID` for negative, infinite and unreadable ones
 * @example
 * parseDuration('10s', 'timer "tick"') // 10000
 */
export function parseDuration(value: unknown, where: string): number {
  const ms = readDuration(value)
  if (ms !== undefined) return ms
  throw new MillraceError('DURATION_INVALID', `The duration of ${where} is ${shownValue(value)}.`)
}

/**
 * Text from the environment or another source known only at run time as a `Duration`, which the compiler cannot check.
 * Text without a unit is milliseconds.
 *
 * @throws `DURATION_INVALID`
 * @example
 * app.timer(duration(process.env.REPORT_EVERY ?? '1h'), async function report() { … })
 */
export function duration(text: string | number): Duration {
  return parseDuration(text, 'duration()')
}

/** Like `parseDuration`, but `undefined` for an invalid duration. */
export function readDuration(value: unknown): number | undefined {
  const ms = TIMES.read(value)
  return typeof ms === 'number' && Number.isFinite(ms) && ms >= 0 ? ms : undefined
}

/**
 * A duration of whole milliseconds, as timestamps have them.
 *
 * @param what the option and whose it is, for the message: `grace of tumbling() of table "counts"`
 * @param code of the error for anything else
 */
export function wholeMilliseconds(value: unknown, what: string, code: ErrorCode): number {
  const ms = readDuration(value)
  if (ms !== undefined && Number.isSafeInteger(ms)) return ms
  throw new MillraceError(
    code,
    `${what} is ${shownValue(value)}; it takes whole milliseconds, or text such as '250ms', '10s', '5m', '1h', '1d'.`,
  )
}

/**
 * Text for a duration, in the largest unit that gives a whole number.
 *
 * @example
 * formatDuration(90_000) // '90s'
 */
export function formatDuration(ms: number): string {
  return TIMES.format(ms)
}

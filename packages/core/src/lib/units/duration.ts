import { MillraceError } from '../errors/millrace-error.ts'

/**
 * A length of time: milliseconds as a number, or text with a unit.
 *
 * @example
 * const interval: Duration = '250ms' // or 250, '10s', '5m', '1.5h', '1d'
 */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const

const TEXT = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/i

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
  const got = typeof value === 'string' ? `'${value}'` : String(value)
  throw new MillraceError('DURATION_INVALID', `The duration of ${where} is ${got}.`)
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
  const ms = typeof value === 'string' ? textToMs(value) : value
  return typeof ms === 'number' && Number.isFinite(ms) && ms >= 0 ? ms : undefined
}

/**
 * Text for a duration, in the largest unit that gives a whole number.
 *
 * @example
 * formatDuration(90_000) // '90s'
 */
export function formatDuration(ms: number): string {
  for (const [unit, unitMs] of UNITS) {
    if (ms >= unitMs && ms % unitMs === 0) return `${ms / unitMs}${unit}`
  }
  return `${ms}ms`
}

function textToMs(text: string): number | undefined {
  const match = TEXT.exec(text.trim())
  if (match === null) return undefined
  const unit = match[2]?.toLowerCase() ?? 'ms'
  const unitMs = UNITS.find(([name]) => name === unit)?.[1]
  return unitMs === undefined ? undefined : Number(match[1]) * unitMs
}

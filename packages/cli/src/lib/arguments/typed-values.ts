import { isMillraceError, MillraceError, parseDuration } from '@millrace/core'
import type { RecordsRequest, ResetRequest } from '@millrace/core/operations'
import type { ParameterValue } from './grammar.ts'

export function usage(detail: string): MillraceError {
  return new MillraceError('COMMAND_USAGE', detail)
}

/** What was typed for an option of type `list`, each time that it was given. */
export function listOf(value: ParameterValue): readonly string[] {
  return typeof value === 'object' ? value : []
}

/** A whole number typed for `what`. Throws `COMMAND_USAGE`. */
export function wholeNumber(value: unknown, what: string, least = 0): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value
  throw usage(`${what} takes a whole number from ${least}, not ${String(value)}.`)
}

/** A time, or a duration ago, typed for `option`. In milliseconds since the epoch. Throws `COMMAND_USAGE`. */
export function readTime(option: string, text: string, nowMs: number): number {
  const time = timeOf(text) ?? timeAgo(text, nowMs)
  if (time !== undefined && time >= 0) return time
  throw usage(`${option} takes a time (2026-03-01T08:00Z) or how long ago (6h), not "${text}".`)
}

/** `beginning`, `end`, a time, or a duration ago, typed for `option`. Throws `COMMAND_USAGE`. */
export function readPosition(option: string, text: string, nowMs: number): ResetRequest['to'] {
  return positionOf(text, nowMs) ?? refuse(option, 'beginning, end', text)
}

/** Like `readPosition`, but a bare number is an offset. */
export function readStart(option: string, text: string, nowMs: number): RecordsRequest['from'] {
  const offset = /^\d{1,16}$/.test(text) ? Number(text) : undefined
  if (offset !== undefined && Number.isSafeInteger(offset)) return { offset }
  return positionOf(text, nowMs) ?? refuse(option, 'beginning, end, an offset (1207)', text)
}

function positionOf(text: string, nowMs: number): ResetRequest['to'] | undefined {
  if (text === 'beginning' || text === 'end') return text
  const timestampMs = timeOf(text) ?? timeAgo(text, nowMs)
  return timestampMs === undefined || timestampMs < 0 || timestampMs > nowMs ? undefined : { timestampMs }
}

function refuse(option: string, names: string, text: string): never {
  throw new MillraceError(
    'COMMAND_USAGE',
    `${option} takes ${names}, a time that has passed (2026-03-01T08:00Z) or how long ago (6h), not "${text}".`,
  )
}

/** Requires text that starts like a year, because `Date` parses many other words. */
function timeOf(text: string): number | undefined {
  const time = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}

function timeAgo(text: string, nowMs: number): number | undefined {
  try {
    // A bare number would mean milliseconds, and is surely a slip.
    return /^\d+$/.test(text) ? undefined : nowMs - parseDuration(text, 'time')
  } catch (error) {
    if (isMillraceError(error)) return undefined
    throw error
  }
}

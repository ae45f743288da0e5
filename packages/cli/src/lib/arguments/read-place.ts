import { isMillraceError, MillraceError, parseDuration, type ResetRequest } from '@millrace/core'

/** `beginning`, `end`, a time, or how long ago, as typed for `option`. Throws `COMMAND_USAGE`. */
export function readPlace(option: string, text: string, nowMs: number): ResetRequest['to'] {
  if (text === 'beginning' || text === 'end') return text
  const timestampMs = timeOf(text) ?? timeAgo(text, nowMs)
  if (timestampMs === undefined || timestampMs < 0 || timestampMs > nowMs)
    throw new MillraceError(
      'COMMAND_USAGE',
      `${option} takes beginning, end, a time that has passed (2026-03-01T08:00Z) or how long ago (6h), not "${text}".`,
    )
  return { timestampMs }
}

/** Only what begins as a year does: `Date` makes years of many words. */
function timeOf(text: string): number | undefined {
  const time = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}

function timeAgo(text: string, nowMs: number): number | undefined {
  try {
    // A bare number would be milliseconds, and is a slip.
    return /^\d+$/.test(text) ? undefined : nowMs - parseDuration(text, 'time')
  } catch (error) {
    if (isMillraceError(error)) return undefined
    throw error
  }
}

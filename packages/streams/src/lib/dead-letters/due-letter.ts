import { dueSubscription, headerNamed, type RawHeaders, repartitionTopic, showBytes } from '@millrace/core'
import type { DeadLetterDue } from '@millrace/core/operations'
import { TIMER_HEADER, WINDOW_HEADER } from '@millrace/state'
import type { LetterFacts } from './letter-headers.ts'

/** What was due, of a letter that says so. `own`: the headers of its record. */
export function dueIn(
  { due: kind, topic: state, partition, timestamp: at }: LetterFacts,
  key: Buffer | null,
  own: RawHeaders,
): DeadLetterDue | undefined {
  if (kind === '') return undefined
  const window = windowIn(headerNamed(own, WINDOW_HEADER) ?? '')
  const timer = headerNamed(own, TIMER_HEADER)
  return {
    kind,
    state,
    partition,
    key: textOf(key),
    at,
    ...(window === undefined ? {} : { window }),
    ...(timer === undefined ? {} : { timer }),
  }
}

/** As text or in base64. */
function textOf(key: Buffer | null): string {
  const { value } = showBytes(key, undefined)
  return typeof value === 'string' ? value : ''
}

/** The topic through which the agent gets its letters back of what was due in a state. */
export function dueReplayTopic(appId: string, agent: string, state: string): string {
  return repartitionTopic(appId, dueSubscription(agent, state))
}

function windowIn(text: string): DeadLetterDue['window'] {
  const [start = Number.NaN, end = Number.NaN] = text.split('/').map(Number)
  return text !== '' && Number.isFinite(start) && Number.isFinite(end) ? { start, end } : undefined
}

import type { RawHeaders, ProcessingContext } from '@millrace/core'
import { currentEvent } from './between-events.ts'

const PARENT = 'traceparent'
const STATE = 'tracestate'

/**
 * Headers to send, with the W3C trace context of the current event unless they bring their own. A send that names its
 * `traceparent` has begun a span of its own, to which the state of another one does not belong.
 */
export function withTrace(headers: RawHeaders, work: ProcessingContext | undefined): RawHeaders {
  const from = currentEvent(work)?.rawHeaders
  if (from === undefined || from.length === 0) return headers
  const parent = lastNamed(from, PARENT)
  if (parent === undefined || lastNamed(headers, PARENT) !== undefined) return headers
  const state = lastNamed(headers, STATE) === undefined ? lastNamed(from, STATE) : undefined
  return state === undefined ? [...headers, parent] : [...headers, parent, state]
}

function lastNamed(headers: RawHeaders, name: string): RawHeaders[number] | undefined {
  for (let i = headers.length - 1; i >= 0; i--) {
    const header = headers[i]
    if (header !== undefined && header[0] === name) return header
  }
  return undefined
}

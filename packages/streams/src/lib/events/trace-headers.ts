import type { EventTrace, RawHeaders, SendTrace, Tracing } from '@millrace/core'
import type { ContextStorage, ProcessingContext, SendReceipt, SendRequest } from '@millrace/worker'
import { currentEvent } from './between-events.ts'
import type { StreamEvent } from './stream-event.ts'

const PARENT = 'traceparent'
const STATE = 'tracestate'

/**
 * Headers to send, with the W3C trace context of the current event unless they have their own. A send with its own
 * `traceparent` has begun its own span, to which the trace state of another does not belong.
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

/** Starts the trace of the event. */
export function beginTrace(event: StreamEvent, tracing: Tracing): void {
  const { inFlight, origin } = event
  const { agent, worker } = origin.context
  const { topic, partition, offset, attempts, record } = inFlight
  event.trace = tracing.eventStarted({
    topic,
    isChannel: event.event === undefined,
    partition,
    offset,
    headers: record.headers,
    agent,
    worker: worker.id,
    app: worker.appId,
    attempts,
  })
}

/** The trace of the event in whose context this runs, open or not; `undefined` if nothing traces. */
export function currentTrace(contexts: ContextStorage): EventTrace | undefined {
  return currentEvent(contexts.getStore())?.first.trace
}

/**
 * Sends in the context of an event. The trace covers the call only, because the record waits for the end of the event.
 */
export function sendFollowed(
  tracing: Tracing | undefined,
  request: SendRequest,
  event: { send(request: SendRequest): SendReceipt | Promise<SendReceipt> },
): SendReceipt | Promise<SendReceipt> {
  if (tracing === undefined) return event.send(request)
  const trace = tracing.sendStarted(request)
  try {
    const receipt = event.send({ ...request, headers: trace.headers })
    if (receipt instanceof Promise) return followed(trace, receipt)
    trace.end()
    return receipt
  } catch (error) {
    trace.end(error)
    throw error
  }
}

/** Returns `result`, with whose end the send is over. */
export async function followed<T>(trace: SendTrace, result: Promise<T>): Promise<T> {
  try {
    const value = await result
    trace.end()
    return value
  } catch (error) {
    trace.end(error)
    throw error
  }
}

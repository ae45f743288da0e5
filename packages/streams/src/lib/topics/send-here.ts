import { MillraceError, type RecordMetadata } from '@millrace/core'
import type { SendReceipt, SendRequest } from '@millrace/worker'
import { currentEvent } from '../events/between-events.ts'
import { followed, sendFollowed } from '../events/trace-headers.ts'
import type { StreamsContext } from '../streams-context.ts'

/**
 * Sends from wherever the caller is: as an effect of the current event, acknowledged from events of channels and outside
 * agents, and not at all in an agent that has no event.
 */
export function sendHere(
  context: StreamsContext,
  to: string,
  request: (timestamp: number) => SendRequest,
): SendReceipt | Promise<SendReceipt> {
  const work = context.contexts.getStore()
  if (work?.event !== undefined) {
    if (!work.event.open) throw noEvent(work.event.agent, to, 'the event it belongs to is finished')
    return sendFollowed(context.tracing, request(work.event.timestamp), work.event)
  }
  if (work?.agent === undefined) return sendOutside(context, request)
  const event = currentEvent(work)
  if (event === undefined) throw noEvent(work.agent, to, 'it has no current event')
  if (!event.open) throw noEvent(work.agent, to, 'the event it belongs to is finished')
  return sendFollowed(context.tracing, request(event.timestamp), event.inFlight)
}

async function sendOutside(context: StreamsContext, request: (timestamp: number) => SendRequest): Promise<SendReceipt> {
  const client = await context.context()
  const record = request(client.clock.now())
  const trace = context.tracing?.sendStarted(record)
  if (trace === undefined) return acknowledged(await client.send(record))
  return acknowledged(await followed(trace, client.send({ ...record, headers: trace.headers })))
}

/** Of a record that the broker has already. */
export function acknowledged(metadata: RecordMetadata): SendReceipt {
  return { metadata: () => Promise.resolve(metadata) }
}

/** Types ensure it; JavaScript does not, and a value may be sent as if it were the record. */
export function isRecord(given: unknown): boolean {
  return typeof given === 'object' && given !== null && 'value' in given
}

/** For something sent as a record that is none: mostly it is the value itself. */
export function noRecord(to: string, given: unknown): MillraceError {
  return new MillraceError('ENCODE_FAILED', `The send to ${to} takes { key, value }, and was given ${describe(given)}.`)
}

function describe(given: unknown): string {
  if (Array.isArray(given)) return 'a list'
  if (typeof given !== 'object' || given === null) return typeof given === 'string' ? 'text alone' : String(given)
  const names = Object.keys(given)
  return names.length === 0 ? 'an empty object' : `an object of ${names.slice(0, 5).join(', ')} without a value`
}

export function noEvent(agent: string, to: string, why: string): MillraceError {
  return new MillraceError('NO_CURRENT_EVENT', `Agent "${agent}" cannot send to "${to}" here: ${why}.`)
}

import { MillraceError, type RecordMetadata, type SendReceipt, type SendRequest } from '@millrace/core'
import { AgentScope } from '../events/agent-scope.ts'
import type { StreamsDeps } from '../streams-deps.ts'

/**
 * Sends from wherever the caller is: as an effect of the event in hand, acknowledged from events of channels and
 * outside agents, and not at all in an agent that has no event.
 */
export function sendHere(
  deps: StreamsDeps,
  to: string,
  request: (timestamp: number) => SendRequest,
): SendReceipt | Promise<SendReceipt> {
  const work = deps.scope.getStore()
  if (work?.event !== undefined) {
    if (!work.event.open) throw noEvent(work.event.agent, to, 'the event it belongs to is finished')
    return work.event.send(request(work.event.timestamp))
  }
  if (work?.agent === undefined) return sendOutside(deps, request)
  const delivery = work instanceof AgentScope ? work.delivery : undefined
  if (delivery === undefined) throw noEvent(work.agent, to, 'it has no event in hand')
  if (!delivery.open) throw noEvent(work.agent, to, 'the event it belongs to is finished')
  return work.client.send(request(delivery.timestamp)).then(acknowledged)
}

async function sendOutside(deps: StreamsDeps, request: (timestamp: number) => SendRequest): Promise<SendReceipt> {
  const client = await deps.context()
  return acknowledged(await client.send(request(client.clock.now())))
}

function acknowledged(metadata: RecordMetadata): SendReceipt {
  return { metadata: () => Promise.resolve(metadata) }
}

/** Types see to it; JavaScript does not, nor a value that is sent as if it were the record. */
export function isRecord(given: unknown): boolean {
  return typeof given === 'object' && given !== null && 'value' in given
}

/** For what is sent as a record and is none: mostly the value itself. */
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

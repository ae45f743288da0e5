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

export function noEvent(agent: string, to: string, why: string): MillraceError {
  return new MillraceError('NO_CURRENT_EVENT', `Agent "${agent}" cannot send to "${to}" here: ${why}.`)
}

import { deadLetterTopic, repliesTopic } from '@millrace/core'
import { type CommittedSends, sendText } from '../records/commit-metadata.ts'
import type { PartitionCursor } from './cursor.ts'

/**
 * The topics to which events of a source partition were seen to send: those already `known`, and those counted since.
 * Code declares its sends nowhere, and `reset` and `topology` need them while no worker runs. So they are committed
 * with the offsets of the events that sent.
 */
export function seenSends(known: CommittedSends, cursors: readonly PartitionCursor[], appId: string): CommittedSends {
  let found: Set<string> | undefined
  for (const { counters, subscription } of cursors) {
    const { agent } = subscription.spec
    for (const { topic } of counters.sentTo) {
      const text = sendText({ agent, topic })
      if (known.has(text) || isOwn(topic, agent, appId)) continue
      found ??= new Set(known)
      found.add(text)
    }
  }
  return found ?? known
}

/** A topic that Millrace has made for the agent itself. */
function isOwn(topic: string, agent: string, appId: string): boolean {
  const isRepartition = topic.startsWith(`${appId}-${agent}-`) && topic.endsWith('-repartition')
  return isRepartition || topic === deadLetterTopic(appId, agent) || topic === repliesTopic(appId)
}

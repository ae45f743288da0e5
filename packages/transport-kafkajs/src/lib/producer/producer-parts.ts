import { MillraceError, toError, type Clock } from '@millrace/core'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { requirePartition } from '../cluster/to-leaders.ts'
import { PassingError, retrying } from '../cluster/retrying.ts'
import type { BatchSender } from './batch-sender.ts'

const CLOSE_LIMIT_MS = 5_000
/** Partitions that were added to a topic are noticed after so long. */
const METADATA_AGE_MS = 60_000

/** One broker may not have heard yet of a topic that was just created. */
const LOOKS_UNTIL_TOPIC_MISSING = 5

/** Partition count of a topic as the metadata has it; rejects with `TOPIC_MISSING` when several looks do not show it. */
export async function partitionCount(context: KafkaClientContext, topic: string, signal: AbortSignal): Promise<number> {
  const known = context.view.topic(topic)
  if (known !== undefined) {
    if (context.view.isOlderThan(METADATA_AGE_MS)) lookAgain(context)
    return known.leaders.length
  }
  let looks = 0
  return retrying(context.reconnects, `topic "${topic}" could not be looked up`, signal, async () => {
    await context.view.ensure([topic])
    const isHidden = context.view.topic(topic) === undefined && context.view.refusal(topic) === undefined
    if (isHidden && ++looks < LOOKS_UNTIL_TOPIC_MISSING) throw new PassingError(`Topic "${topic}" does not exist.`)
    requirePartition(context.view, { topic, partition: 0 })
    return context.view.topic(topic)?.leaders.length ?? 0
  })
}

/** In the background: the count that is known goes on to serve meanwhile. */
function lookAgain({ view, log }: KafkaClientContext): void {
  view
    .refresh()
    .catch((error: unknown) => log.debug({ error: toError(error).message }, 'The metadata could not be refreshed.'))
}

export interface SenderToClose {
  readonly clock: Clock
  readonly sender: BatchSender
  readonly closing: AbortController
  readonly links: BrokerLinks
}

/** Waits for sends under way, not for ever, then cuts the connections: what still waits rejects with `CLOSED`. */
export async function closeSender({ clock, sender, closing, links }: SenderToClose): Promise<void> {
  const limit = new AbortController()
  const timeout = clock.sleep(CLOSE_LIMIT_MS, limit.signal).catch(() => undefined)
  await Promise.race([sender.idle(), timeout])
  limit.abort()
  closing.abort(new MillraceError('CLOSED', 'The producer is closed.'))
  links.close()
  sender.close()
}

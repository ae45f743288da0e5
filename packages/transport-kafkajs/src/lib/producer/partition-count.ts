import { toError } from '@millrace/core'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { requirePartition } from '../cluster/to-leaders.ts'
import { PassingError, retrying } from '../cluster/retrying.ts'

/** How long it takes until partitions that were added to a topic are noticed. */
const METADATA_AGE_MS = 60_000

/** One broker may not have heard yet of a topic that was just created. */
const LOOKUPS_UNTIL_TOPIC_MISSING = 5

/**
 * Partition count of a topic according to the metadata; rejects with `TOPIC_MISSING` if several lookups do not show it.
 */
export async function partitionCount(context: KafkaClientContext, topic: string, signal: AbortSignal): Promise<number> {
  const known = context.view.topic(topic)
  if (known !== undefined) {
    if (context.view.isOlderThan(METADATA_AGE_MS)) refreshInBackground(context)
    return known.leaders.length
  }
  let lookups = 0
  return retrying(context.reconnects, `topic "${topic}" could not be looked up`, signal, async () => {
    await context.view.ensure([topic])
    const isHidden = context.view.topic(topic) === undefined && context.view.refusal(topic) === undefined
    if (isHidden && ++lookups < LOOKUPS_UNTIL_TOPIC_MISSING) throw new PassingError(`Topic "${topic}" does not exist.`)
    requirePartition(context.view, { topic, partition: 0 })
    return context.view.topic(topic)?.leaders.length ?? 0
  })
}

/** The known count is used meanwhile. */
function refreshInBackground({ view, log }: KafkaClientContext): void {
  view
    .refresh()
    .catch((error: unknown) => log.debug({ error: toError(error).message }, 'The metadata could not be refreshed.'))
}

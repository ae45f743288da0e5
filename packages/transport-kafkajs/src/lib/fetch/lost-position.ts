import { MillraceError, partitionKey } from '@millrace/core'
import type { LostPosition } from '@millrace/core/driver'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { partitionOffsets } from '../cluster/offsets.ts'
import { retrying } from '../cluster/retrying.ts'
import type { Position } from './position.ts'
import type { ClusterView } from '../cluster/cluster-view.ts'

/**
 * The bounds that the topic has when its leader refuses to read at a position. A leader has everything that readers
 * ever got, unless records were lost. So if the position is in range again when the bounds are requested, it now has
 * other records, and all that is known of the log's end is that it was before the position. A topic that was created
 * again also has other offsets: that is `TOPIC_MISSING`.
 */
export async function findRange(
  position: Position,
  context: KafkaClientContext,
  signal: AbortSignal,
): Promise<LostPosition> {
  const { view, reconnects } = context
  const { topic, partition, offset } = position
  await retrying(reconnects, `reading ${partitionKey(position)}`, signal, () => view.refresh())
  requireSameTopic(position, view)
  const [range] = await partitionOffsets(context, [position], 'read-uncommitted', signal)
  if (range === undefined)
    throw new MillraceError('TOPIC_MISSING', `Kafka gives no offsets of ${partitionKey(position)}.`)
  const { beginning, end } = range
  const isGrown = offset >= beginning && offset <= end
  return { topic, partition, position: offset, beginning, end: isGrown ? offset - 1 : end }
}

/** Throws for clients that cannot continue elsewhere. */
export function throwOutOfRange({ topic, partition, position, beginning, end }: LostPosition): never {
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `Partition ${topic}/${partition} cannot be read at offset ${position}: it has ${beginning} to ${end}.`,
  )
}

/** A topic that the metadata does not show for so many lookups in a row counts as deleted. */
const LOOKUPS_UNTIL_MISSING = 10

type TopicLookup = Pick<ClusterView, 'topic' | 'refusal'>

/** Throws `TOPIC_MISSING` for a topic that was created again, because its offsets belong to other records. */
export function requireSameTopic(position: Position, view: TopicLookup): void {
  const id = view.topic(position.topic)?.id
  position.topicId ??= id
  if (id !== undefined && id !== position.topicId)
    throw new MillraceError(
      'TOPIC_MISSING',
      `Topic "${position.topic}" was deleted and created again while it was read.`,
    )
}

/**
 * Counts a lookup that did not show where to read these positions. Throws if their topic stays absent, or access is
 * refused.
 */
export function countMissing(positions: readonly Position[], view: TopicLookup): void {
  for (const position of positions) {
    if (view.topic(position.topic) !== undefined) continue
    const refusal = view.refusal(position.topic)
    if (refusal !== undefined) throw refusal
    if (++position.lookupsMissing > LOOKUPS_UNTIL_MISSING)
      throw new MillraceError('TOPIC_MISSING', `Topic "${position.topic}" does not exist.`)
  }
}

import { MillraceError } from '@millrace/core'
import type { ClusterView } from '../cluster/cluster-view.ts'
import type { Position } from './position.ts'

/** A topic that the metadata does not show for so many looks in a row is taken for deleted. */
const LOOKS_UNTIL_MISSING = 10

type TopicLooks = Pick<ClusterView, 'topic' | 'refusal'>

/** Throws `TOPIC_MISSING` for a topic that was made again: its offsets are those of other records. */
export function requireSameTopic(position: Position, view: TopicLooks): void {
  const id = view.topic(position.topic)?.id
  position.topicId ??= id
  if (id !== undefined && id !== position.topicId)
    throw new MillraceError(
      'TOPIC_MISSING',
      `Topic "${position.topic}" was deleted and created again while it was read.`,
    )
}

/** A look that did not show where to read these. Throws when their topic stays away, or may not be looked at. */
export function countMissing(positions: readonly Position[], view: TopicLooks): void {
  for (const position of positions) {
    if (view.topic(position.topic) !== undefined) continue
    const refusal = view.refusal(position.topic)
    if (refusal !== undefined) throw refusal
    if (++position.looksMissing > LOOKS_UNTIL_MISSING)
      throw new MillraceError('TOPIC_MISSING', `Topic "${position.topic}" does not exist.`)
  }
}

import { MillraceError, partitionKey, type LostPosition } from '@millrace/core'
import type { PartContext } from '../cluster/part-context.ts'
import { partitionOffsets } from '../cluster/partition-offsets.ts'
import { retrying } from '../cluster/retrying.ts'
import type { Position } from './position.ts'
import { requireSameTopic } from './topic-watch.ts'

export interface RangeDeps extends Pick<PartContext, 'view' | 'control' | 'recovery'> {
  readonly signal: AbortSignal
}

/**
 * What the topic has instead of a position that the broker would not read at; `undefined` when it has the position after
 * all, for the leader has changed. A topic that was made again has other offsets too: that is `TOPIC_MISSING`.
 */
export async function findRange(position: Position, deps: RangeDeps): Promise<LostPosition | undefined> {
  const { view, recovery, signal } = deps
  const { topic, partition, offset } = position
  await retrying(recovery, `reading ${partitionKey(position)}`, signal, () => view.refresh())
  requireSameTopic(position, view)
  const [range] = await partitionOffsets(deps, [position], 'read-uncommitted', signal)
  if (range === undefined || (offset >= range.beginning && offset <= range.end)) return undefined
  return { topic, partition, position: offset, beginning: range.beginning, end: range.end }
}

/** For those who cannot go on elsewhere. */
export function throwOutOfRange({ topic, partition, position, beginning, end }: LostPosition): never {
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `Partition ${topic}/${partition} cannot be read at offset ${position}: it has ${beginning} to ${end}.`,
  )
}

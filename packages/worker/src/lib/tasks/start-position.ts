import { type CommitOffset, MillraceError, type PartitionOffsets, type TopicPartition } from '@millrace/core'

export interface StartRules {
  readonly offsetReset: 'earliest' | 'latest'
  readonly onOffsetLost: 'stop' | 'earliest'
}

export interface StartPosition {
  readonly offset: number
  /** As committed with the offset; empty when it does not hold. */
  readonly metadata: string
  readonly origin: 'committed' | 'reset' | 'lost'
}

/** Where reading of a source partition begins. Throws `OFFSET_OUT_OF_RANGE`. */
export function startPosition(
  partition: TopicPartition,
  known: { readonly committed: CommitOffset | undefined; readonly bounds: PartitionOffsets },
  rules: StartRules,
): StartPosition {
  const { committed, bounds } = known
  if (committed === undefined)
    return { offset: rules.offsetReset === 'earliest' ? bounds.beginning : bounds.end, metadata: '', origin: 'reset' }
  if (committed.offset >= bounds.beginning && committed.offset <= bounds.end)
    return { offset: committed.offset, metadata: committed.metadata, origin: 'committed' }
  if (rules.onOffsetLost === 'earliest') return { offset: bounds.beginning, metadata: '', origin: 'lost' }
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `The committed offset ${committed.offset} of ${partition.topic}/${partition.partition} is outside of what the topic has: ${bounds.beginning} to ${bounds.end} (onOffsetLost: 'stop').`,
  )
}

import { partitionKey, type TopicPartition } from '@millrace/core'
import type { PartitionPosition } from '@millrace/core/driver'

/** A source partition of a task that is here, as a purge sees it. */
export interface PurgeSource extends TopicPartition {
  /** The offset whose commit the broker has acknowledged; `undefined` if there is none. */
  readonly committed: number | undefined
}

/**
 * Up to which offset each partition can be deleted: its committed offset and never further, because records beyond it
 * may still be read. `purged` has the offsets up to which that was done already, by partition key.
 */
export function planPurge(
  sources: readonly PurgeSource[],
  purged: ReadonlyMap<string, number>,
): readonly PartitionPosition[] {
  return sources.flatMap(({ topic, partition, committed = 0 }) =>
    committed > (purged.get(partitionKey({ topic, partition })) ?? 0) ? [{ topic, partition, offset: committed }] : [],
  )
}

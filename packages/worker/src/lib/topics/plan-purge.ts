import { partitionKey, type TopicPartition } from '@millrace/core'
import type { PartitionPosition } from '@millrace/core/driver'

/** A source partition of a task that is here, as far as it counts for a purge. */
export interface PurgeSource extends TopicPartition {
  /** What the broker has acknowledged as committed; `undefined` before there is anything. */
  readonly committed: number | undefined
}

/**
 * Up to where each partition can be deleted: its committed offset and never further, for behind that somebody may still
 * have to read. `purged` says up to where that was done already, by the partitions' keys.
 */
export function planPurge(
  sources: readonly PurgeSource[],
  purged: ReadonlyMap<string, number>,
): readonly PartitionPosition[] {
  return sources.flatMap(({ topic, partition, committed = 0 }) =>
    committed > (purged.get(partitionKey({ topic, partition })) ?? 0) ? [{ topic, partition, offset: committed }] : [],
  )
}

import { partitionKey, type TopicPartition } from '@millrace/core'

export interface PartitionChange {
  readonly lost: readonly TopicPartition[]
  readonly kept: readonly TopicPartition[]
  readonly gained: readonly TopicPartition[]
}

/**
 * What a new assignment changes. When the member may have missed a generation (`continuous` is false), another one may
 * have owned its partitions meanwhile: then nothing counts as kept.
 */
export function assignmentChange(
  before: readonly TopicPartition[],
  after: readonly TopicPartition[],
  continuous: boolean,
): PartitionChange {
  if (!continuous) return { lost: before, kept: [], gained: after }
  const had = new Set(before.map(partitionKey))
  const has = new Set(after.map(partitionKey))
  return {
    lost: before.filter((partition) => !has.has(partitionKey(partition))),
    kept: after.filter((partition) => had.has(partitionKey(partition))),
    gained: after.filter((partition) => !had.has(partitionKey(partition))),
  }
}

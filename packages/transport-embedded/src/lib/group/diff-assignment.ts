import { partitionKey, type TopicPartition } from '@millrace/core'

export interface AssignmentDiff {
  readonly lost: readonly TopicPartition[]
  readonly kept: readonly TopicPartition[]
  readonly gained: readonly TopicPartition[]
}

/** What changes for a member that had `before` and has `after`. */
export function diffAssignment(before: readonly TopicPartition[], after: readonly TopicPartition[]): AssignmentDiff {
  const had = new Set(before.map(partitionKey))
  const has = new Set(after.map(partitionKey))
  return {
    lost: before.filter((partition) => !has.has(partitionKey(partition))),
    kept: after.filter((partition) => had.has(partitionKey(partition))),
    gained: after.filter((partition) => !had.has(partitionKey(partition))),
  }
}

import type { TaskRef, TopicPartition } from '@millrace/core'

/** @example taskId(8, 0) // '8-0' */
export function taskId(partitions: number, partition: number): string {
  return `${partitions}-${partition}`
}

/** The task of a partition of a topic that has so many. */
export function taskOf({ partition }: TopicPartition, partitions: number): TaskRef {
  return { partitions, partition, id: taskId(partitions, partition) }
}

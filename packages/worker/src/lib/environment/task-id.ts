import type { TopicPartition } from '@millrace/core'
import type { TaskRef } from '../contracts/task.ts'

/** @example taskId(8, 0) // '8-0' */
export function taskId(partitions: number, partition: number): string {
  return `${partitions}-${partition}`
}

/** The task of a partition, for a topic with `partitions` partitions. */
export function taskOf({ partition }: TopicPartition, partitions: number): TaskRef {
  return { partitions, partition, id: taskId(partitions, partition) }
}

/** Parses a task id that another member has sent; `undefined` for a text that `taskId` does not make. */
export function taskOfId(id: string): TaskRef | undefined {
  const [partitions = 0, partition = 0] = id.split('-', 2).map(Number)
  return taskId(partitions, partition) === id && partition >= 0 && partition < partitions
    ? { partitions, partition, id }
    : undefined
}

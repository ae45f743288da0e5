import type { TopicPartition } from '@millrace/core'
import { taskId } from './task-id.ts'

/** Which task it is, without its state. */
export interface TaskPlace {
  readonly id: string
  readonly partitions: number
  readonly partition: number
}

export function placeOf({ partition }: TopicPartition, partitions: number): TaskPlace {
  return { partitions, partition, id: taskId(partitions, partition) }
}

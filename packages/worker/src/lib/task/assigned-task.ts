import type { TopicPartition } from '@millrace/core'
import type { TaskRef } from '../contracts/task.ts'

/** A task that is assigned to this worker. */
export interface AssignedTask extends TaskRef {
  /** Its source partitions. */
  readonly assigned: readonly TopicPartition[]
}

/** What a reopened task takes over from its predecessor. */
export interface FormerTask {
  /** The log ends of source partitions that were found to end before the task's position, by topic and partition. */
  readonly foundEnds?: ReadonlyMap<string, number>
  /** See `TaskOutput.failures`. */
  readonly failures?: number
}

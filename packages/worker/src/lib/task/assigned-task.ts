import type { TopicPartition } from '@millrace/core'
import type { TaskRef } from '../contracts/task.ts'

/** A task that this worker is given. */
export interface AssignedTask extends TaskRef {
  /** Its source partitions. */
  readonly assigned: readonly TopicPartition[]
}

/** What a task takes over from the one before it, when it is opened again. */
export interface FormerTask {
  /** Where source partitions were found to end before what had been read of them, by topic and partition. */
  readonly foundEnds?: ReadonlyMap<string, number>
  /** As `TaskOutput.failures`. */
  readonly failures?: number
}

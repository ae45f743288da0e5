import type { Admin, Consumer, LostPosition } from '@millrace/core/driver'
import type { HandedOutEvent } from '../contracts/event.ts'
import type { HandOut } from '../environment/hand-out.ts'
import type { Lease } from '../environment/lease.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { FlowControl } from '../records/flow-control.ts'
import type { TaskStores } from '../restore/task-stores.ts'
import type { Outgoing } from '../sending/outgoing.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'

/** What a task takes over from the one before it, when it is opened again. */
export interface FormerTask {
  /** Where source partitions were found to end before what had been read of them, by topic and partition. */
  readonly foundEnds?: ReadonlyMap<string, number>
  /** As `TaskOutput.failures`. */
  readonly failures?: number
}

/**
 * What a task uses of the worker that it is in: parts that all tasks share, and what only the worker can do. `Task` is the
 * class of that name, which is built on this.
 */
export interface TaskWorker<Task> {
  readonly environment: WorkerEnvironment
  readonly lease: Lease
  readonly handOut: HandOut
  readonly consumer: Consumer
  readonly admin: Admin
  readonly topics: TopicDirectory
  readonly flow: FlowControl
  readonly stores: TaskStores
  /** Tasks that are recovered, and not lost. */
  readonly running: readonly Task[]
  /** Where the sends and rows of a new task go. `failures`: as `TaskOutput.failures` of the same task before. */
  outputOf(task: Task, failures: number): TaskOutput
  /** There is something for the task's next commit. */
  touched(task: Task): void
  /** The task should be committed now. */
  commitSoon(task: Task): void
  /** The broker refused a record for good. */
  refused(record: Outgoing, error: Error): void
  /** An event has failed of which sends have gone out; its task is opened again for that. */
  eventFailed(event: HandedOutEvent, error: Error | undefined): void
  /**
   * Drops the task whole, if it is here, and opens it again from its last commit. `cutOff`: a partition of it ends
   * before what had been read.
   */
  reopen(id: string, reason: string, cutOff?: LostPosition): void
  /** Ends the worker. */
  fail(error: Error): void
}

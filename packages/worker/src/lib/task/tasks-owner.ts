import type { Admin, Consumer } from '@millrace/core/driver'
import type { HandOut } from '../environment/hand-out.ts'
import type { Lease } from '../environment/lease.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { Recovery } from '../restore/recovery.ts'
import type { TaskStores } from '../restore/task-stores.ts'
import type { Sending } from '../sending/send-budget.ts'
import type { DeclaredTopology } from '../topics/declared-topology.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { BlockingEvents } from './blocking-events.ts'
import type { OpenedReader } from './open-task.ts'
import type { Task } from './task.ts'

/** What the worker has before it has tasks, and what only the worker as a whole can do. */
export interface TasksOwner {
  readonly environment: WorkerEnvironment
  readonly lease: Lease
  readonly handOut: HandOut
  readonly stores: TaskStores
  readonly sending: Sending & { readonly lease: Lease }
  readonly blockingEvents: BlockingEvents
  readonly topology: DeclaredTopology
  readonly subscriptions: readonly OpenedReader[]
  /** Called when no task is being opened any more. */
  opened(): void
  /** Ends the worker. */
  fail(error: Error): void
}

/** Parts that exist once the broker has been reached. */
export interface TasksOptions {
  readonly topics: TopicDirectory
  readonly admin: Admin
  readonly consumer: Consumer
  readonly recovery: Recovery
  /** Called when a task has begun to run. */
  readonly onRunning: (task: Task) => void
}

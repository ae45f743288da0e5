import type { Admin, Consumer } from '@millrace/core/driver'
import type { WorkerContext } from '../contracts/worker-context.ts'
import type { HandOut } from '../environment/hand-out.ts'
import type { Lease } from '../environment/lease.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { Elections } from '../group/elections.ts'
import type { Subscription } from '../queue/subscription.ts'
import type { Recovery } from '../restore/recovery.ts'
import type { TaskStores } from '../restore/task-stores.ts'
import type { Sending } from '../sending/send-budget.ts'
import type { Drain } from '../task/drain.ts'
import type { BlockingEvents } from '../task/blocking-events.ts'
import type { DeclaredTopology } from '../topics/declared-topology.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { RebalanceChange } from './worker.ts'

/** What a worker has before the broker is reached, and what only the worker as a whole can do. */
export interface WorkerLife {
  readonly environment: WorkerEnvironment
  readonly context: WorkerContext
  /** Where other workers reach this one; asked at every join. */
  readonly webAddress: (() => string | undefined) | undefined
  /** Of a static member. */
  readonly instanceId: string | undefined
  readonly lease: Lease
  readonly handOut: HandOut
  readonly drain: Drain
  readonly blockingEvents: BlockingEvents
  readonly sending: Sending & { readonly lease: Lease }
  readonly stores: TaskStores
  readonly topology: DeclaredTopology
  readonly subscriptions: readonly Subscription[]
  /** A rebalance is over. */
  rebalanced(change: RebalanceChange): void
  /** No task is being opened any more. */
  opened(): void
  /** Ends the worker. */
  fail(error: Error): void
}

/** What is there once the broker is reached, and before there are tasks. */
export interface WorkerParts {
  readonly topics: TopicDirectory
  readonly admin: Admin
  readonly consumer: Consumer
  readonly recovery: Recovery
  readonly elections: Elections
}

import type { TimeStats, TopicPartition } from '@millrace/core'
import type { CurrentEvent } from './event.ts'
import type { AssignmentView } from './group.ts'
import type { WorkerStats, WorkerStatus } from './stats.ts'
import type { StateDefinition } from './task.ts'
import type { ClientContext, WorkerContext } from './worker-context.ts'

/** What a rebalance has changed. Emitted when it is over. */
export interface WorkerEvents {
  partitionsAssigned: [partitions: readonly TopicPartition[]]
  partitionsLost: [partitions: readonly TopicPartition[]]
  rebalanceComplete: [change: RebalanceChange]
}

export interface RebalanceChange {
  readonly lost: readonly TopicPartition[]
  readonly kept: readonly TopicPartition[]
  readonly gained: readonly TopicPartition[]
}

/** For the test kit: whether any work is under way that does not wait for the clock. */
export interface Quiet {
  /**
   * True if no fetched record can be handed out, no event is in flight, and no send, commit, recovery or rebalance is
   * under way.
   */
  readonly idle: boolean
  /** The reasons why it is not idle, in words. */
  readonly inFlight: readonly string[]
  /** The events on which instances of agents work: each is with a handler that has not asked for the next one. */
  readonly atWork: readonly CurrentEvent[]
  /**
   * How far each source partition has been read. Compared with the end of the log, it shows whether records are still
   * to be fetched.
   */
  readonly positions: readonly (TopicPartition & { readonly position: number })[]
  /** Offsets below which every agent that reads the partition has finished: no commit may be higher. */
  readonly finished: readonly (TopicPartition & { readonly offset: number })[]
}

/** How far a task has come with one event. */
export interface EventProgress {
  /** All agents of the task that read the event's partition have finished it. */
  readonly isFinished: boolean
  /** What it has changed is committed, and everything before it. */
  readonly isCommitted: boolean
  /** All events before this offset are finished. */
  readonly finishedTo: number
  /** The committed offset; 0 if there is none. */
  readonly committedTo: number
}

/** One run of an app in this process: joins the group, runs tasks, stops. */
export interface Worker {
  /** The worker as parts and descriptors see it. */
  readonly context: WorkerContext
  readonly status: WorkerStatus
  /** Resolves when the worker has joined and recovered its first tasks. Rejects with the error that made it fail. */
  start(): Promise<void>
  /** Drains, commits and leaves. With `hard` nothing more is committed. May be called more than once. */
  stop(options?: { readonly hard?: boolean }): Promise<void>
  /** Resolves when the worker has stopped; rejects with the error that ended it. */
  readonly finished: Promise<void>
  stats(): WorkerStats
  /** How long commits have taken since the worker started. */
  commitTimes(): TimeStats
  assignment(): AssignmentView
  /**
   * How far the task of a state's partition has come with an event. `undefined` if that task is not here, or does not read
   * the event's partition.
   */
  progressOf(
    state: StateDefinition,
    partition: number,
    event: TopicPartition & { readonly offset: number },
  ): EventProgress | undefined
  /**
   * The secret with which the sites of the group's members sign requests to one another; `undefined` before the worker
   * has joined, and while the group's leader has an earlier version. Must not appear in logs or on any page.
   */
  groupSecret(): string | undefined
  /** Calls `fn` at each such event, until the returned function is called. */
  on<E extends keyof WorkerEvents>(event: E, fn: (...change: WorkerEvents[E]) => void): () => void
  quiet(): Quiet
}

/** A producer for commands and pages of processes without a worker. */
export interface Client extends ClientContext {
  /** Waits for sends under way, at most 5 s. The transport belongs to the caller, and stays open. */
  close(): Promise<void>
}

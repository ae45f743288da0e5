import type { ClientContext, TopicPartition, WorkerContext } from '@millrace/core'
import type { WorkerStats, WorkerStatus } from './worker-stats.ts'

/** Who runs a task, as the group's leader told every member. */
export interface TaskOwner {
  /** Instance id of a static member, member id of others. */
  readonly member: string
  /** Web address of that worker, when it has one. */
  readonly address: string | undefined
}

export interface TaskView {
  /** `{partitions}-{partition}` */
  readonly id: string
  readonly state: 'opening' | 'running'
  readonly sources: readonly TopicPartition[]
  readonly parts: readonly string[]
}

export interface AssignmentView {
  /** This worker's name in the group: its instance id when it has one, else its member id; `undefined` before it has joined. */
  readonly memberId: string | undefined
  readonly tasks: readonly TaskView[]
  /** By task id, for the whole group. */
  readonly group: ReadonlyMap<string, TaskOwner>
  /** Web address of every member of the group, by its name there; also of those that have no task. */
  readonly members: ReadonlyMap<string, string | undefined>
  /** Who leads the group; `undefined` when nobody does, or nothing in the app needs a leader. */
  readonly leader: TaskOwner | undefined
  /** Tasks that no member of the group can take, because none knows all their topics and tables. */
  readonly unassigned: readonly string[]
}

/** What a rebalance changed, told when it is over. */
export interface WorkerEvents {
  partitionsAssigned: readonly TopicPartition[]
  partitionsLost: readonly TopicPartition[]
  rebalanceComplete: {
    readonly lost: readonly TopicPartition[]
    readonly kept: readonly TopicPartition[]
    readonly gained: readonly TopicPartition[]
  }
}

/** For the test kit: is anything going on that does not wait for the clock? */
export interface Quiet {
  /** Nothing fetched can be handed out, no event in hand, no send, cut, recovery or rebalance under way. */
  readonly idle: boolean
  /** What keeps it from being idle, in words. */
  readonly inHand: readonly string[]
  /** How far each source partition has been read; compare with the end of the log to know that nothing is still to be fetched. */
  readonly positions: readonly (TopicPartition & { readonly position: number })[]
  /** Everything below it is finished by every agent that reads the partition: no commit may be higher. */
  readonly finished: readonly (TopicPartition & { readonly offset: number })[]
}

/** One run of an app in this process: joins the group, runs tasks, stops. */
export interface Worker {
  /** What parts and descriptors get to see. */
  readonly context: WorkerContext
  readonly status: WorkerStatus
  /** Resolves when the worker has joined and recovered what it was given first. Rejects with the error that made it fail. */
  start(): Promise<void>
  /** Drains, commits, leaves. With `hard` nothing more is committed. May be called more than once. */
  stop(options?: { readonly hard?: boolean }): Promise<void>
  /** Resolves when the worker has stopped; rejects with the error that ended it. */
  readonly finished: Promise<void>
  stats(): WorkerStats
  assignment(): AssignmentView
  /** Calls `fn` at the event; the function returned ends that. */
  on<E extends keyof WorkerEvents>(event: E, fn: (change: WorkerEvents[E]) => void): () => void
  quiet(): Quiet
}

/** A producer for commands and pages of processes without a worker. */
export interface Client extends ClientContext {
  /** Waits for sends under way, at most 5 s. The transport stays open: it is the caller's. */
  close(): Promise<void>
}

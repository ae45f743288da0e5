import type { TopicPartition } from '@millrace/core'
import type { TransactionalProducer } from '@millrace/core/driver'
import type { OpenState } from './task.ts'

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
  /** The group's leader; `undefined` if there is no leader or nothing in the app needs one. */
  readonly leader: TaskOwner | undefined
  /** Tasks that no member of the group can take, because none knows all their topics and tables. */
  readonly unassigned: readonly string[]
}

/** A table whose keys can be found from outside. */
export interface RoutedTable {
  readonly name: string
  /** Text of a path or query to the encoded key. Throws `KEY_INVALID`. */
  parseKey(text: string): Buffer
  /** Partition of an encoded key; `undefined` before the worker has started. */
  partitionOf(key: Buffer): number | undefined
  /** The state of a partition on this worker. */
  state(partition: number): OpenState | undefined
}

/**
 * What makes a worker the leader of its group: it owns the single partition of `{app id}-__assignor-__leader`. At most one
 * worker owns it as the group sees it; one that has slept may still take itself for the leader, so whatever must not
 * happen twice needs `check`, and writes through `producer`.
 */
export interface Leadership {
  /** Aborts when the partition is lost or the worker has left the group. The next leader may be at work by then. */
  readonly signal: AbortSignal
  /** The same from the first worker's start to the last one's end, whoever leads. Empty when the group does not tell. */
  readonly groupLife: string
  /** Throws the signal's reason when it has aborted, `LEASE_EXPIRED` when another worker may lead by now. */
  check(): void
  /** Resolves when the group has heard of this worker since the call; rejects with the signal's reason. Call it before `init`, unless just elected: a worker that slept would shut out its successor. */
  confirm(): Promise<void>
  /** A new producer, of one transactional id for all leaders: its `init` shuts out every leader before. Closed by the caller. */
  producer(): TransactionalProducer
}

/** Somebody who wants to know when this worker leads. Called by the worker, never two calls at a time. */
export interface Candidate {
  /** This worker leads from now on, until the signal aborts. Called again each time it is elected. Must not throw. */
  elected(leadership: Leadership): void
  /** The worker is about to leave the group: begin nothing more, finish what is under way. Waited for within the shutdown time; also called when this worker does not lead. */
  resign(): Promise<void>
}

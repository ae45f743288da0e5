import type { TopicPartition } from '@millrace/core'
import type { TransactionalProducer } from '@millrace/core/driver'
import type { OpenState } from './task.ts'

/** Who runs a task, as the group's leader told every member. */
export interface TaskOwner {
  /** The instance id of a static member, the member id of others. */
  readonly member: string
  /** Web address of that worker, if it has one. */
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
  /**
   * This worker's name in the group: its instance id if it has one, otherwise its member id; `undefined` before it has
   * joined.
   */
  readonly memberId: string | undefined
  readonly tasks: readonly TaskView[]
  /** Task owners of the whole group by task id. */
  readonly group: ReadonlyMap<string, TaskOwner>
  /** Web address of every member by its name in the group, including members without a task. */
  readonly members: ReadonlyMap<string, string | undefined>
  /** The group's leader; `undefined` if there is no leader or nothing in the app needs one. */
  readonly leader: TaskOwner | undefined
  /** Tasks that no member of the group can take, because none knows all their topics and tables. */
  readonly unassigned: readonly string[]
}

/** A table whose keys can be located from outside. */
export interface RoutedTable {
  readonly name: string
  /** Parses a key from the text of a path or query, and encodes it. Throws `KEY_INVALID`. */
  parseKey(text: string): Buffer
  /** Partition of an encoded key; `undefined` before the worker has started. */
  partitionOf(key: Buffer): number | undefined
  /** The state of a partition on this worker. */
  state(partition: number): OpenState | undefined
}

/**
 * What makes a worker the leader of its group: it owns the single partition of `{app id}-__assignor-__leader`. The
 * group has at most one owner, but a worker that was suspended may still believe that it leads. So whatever must not
 * happen twice needs `check`, and must be written through `producer`.
 */
export interface Leadership {
  /** Aborts when the partition is lost or the worker has left the group. The next leader may be at work by then. */
  readonly signal: AbortSignal
  /**
   * Constant from the first worker's start to the last one's end, whoever leads. Empty if the group does not provide
   * it.
   */
  readonly groupLife: string
  /** Throws the signal's reason if it has aborted, and `LEASE_EXPIRED` if another worker may lead by now. */
  check(): void
  /**
   * Resolves after a sign of life from the group since the call; rejects with the signal's reason. Call it before
   * `init`, except right after an election: a worker that was suspended would fence its successor.
   */
  confirm(): Promise<void>
  /**
   * Makes a producer with one transactional id for all leaders: its `init` fences every earlier leader. Closed by the
   * caller.
   */
  producer(): TransactionalProducer
}

/** Something that must know when this worker leads. The worker never makes two calls at a time. */
export interface Candidate {
  /** This worker leads from now on, until the signal aborts. Called again each time it is elected. Must not throw. */
  elected(leadership: Leadership): void
  /**
   * The worker is about to leave the group: begin nothing new, and finish what is under way. Awaited within the
   * shutdown time; also called if this worker does not lead.
   */
  resign(): Promise<void>
}

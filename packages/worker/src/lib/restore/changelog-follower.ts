import {
  type Clock,
  type Logger,
  type RecordBatch,
  assertRowFormat,
  type Sensor,
  type TopicPartition,
} from '@millrace/core'
import type { PartitionOffsets, Reader, Row, StoreChange, StorePartition } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import { Gap, planRestore, RENEW_CHECKPOINT_MS, whyAnew } from './restore-plan.ts'
import type { TaskStores } from './task-stores.ts'

/** What all readers of changelogs share that write to this worker's store. */
export interface RestoreEnvironment {
  readonly stores: TaskStores
  readonly topics: Pick<TopicDirectory, 'changelogId' | 'changelogConfig'>
  /** Makes a reader of committed rows. */
  readonly reader: () => Reader
  readonly clock: Clock
  readonly log: Logger
  readonly sensor: Pick<Sensor, 'recoveryProgress'>
  /** Called when the store cannot be written. */
  readonly fail: (error: Error) => void
}

/** A table or stateful operator in one partition. */
export interface TaskStateRef {
  readonly definition: StateDefinition
  readonly partition: number
}

/**
 * The state of a task is complete at the end that its changelog had when the task was opened. The end of a copy keeps
 * moving.
 */
export type FollowerRole = 'task' | 'copy'

/**
 * Brings the rows of one changelog partition into their store, for a task that is opened here or for a warm copy of a
 * task that runs elsewhere:
 *
 *     open     the store, once nobody else has it open
 *     begin    at its checkpoint if that can be trusted; otherwise drop its rows and read from the beginning
 *     absorb   batches from a `ChangelogReader`; they may show that the checkpoint was wrong, so that it must begin anew
 *     take     the gathered rows with their checkpoint, for one commit of the store
 *     close    releases the store; a task keeps it open
 */
export class ChangelogFollower {
  readonly ref: TaskStateRef
  readonly role: FollowerRole
  readonly store: StorePartition
  readonly changelog: TopicPartition
  /** Aborts when the task is lost, or the copy is no longer wanted. */
  readonly signal: AbortSignal
  /** Whether a copy has been close to the end since it began. */
  caughtUp = false
  readonly #environment: RestoreEnvironment
  /** The next changelog offset to read, and the end as last seen. */
  #range: { readonly position: number; readonly end: number } | undefined
  /** When the store was last known to be complete; 0 if it is rebuilt. */
  #asOfMs = 0
  /**
   * The time of the last row that was read. A log is in the order of time, so nothing behind it was written earlier.
   */
  #lastMs = 0
  /** The rows written while the store was out of use; `undefined` once the store has all of them, or is rebuilt. */
  #gap: Gap | undefined
  /** The first offset of the changelog, where a rebuild starts. */
  #beginning = 0
  #rows: Row[] = []
  #bytes = 0
  #read = 0

  private constructor(
    environment: RestoreEnvironment,
    ref: TaskStateRef,
    role: FollowerRole,
    store: StorePartition,
    signal: AbortSignal,
  ) {
    this.#environment = environment
    this.ref = ref
    this.role = role
    this.store = store
    this.changelog = { topic: ref.definition.changelog.topic, partition: ref.partition }
    this.signal = signal
  }

  /** Rejects with the signal's reason if it aborts meanwhile; the store is closed then. */
  static async open(
    environment: RestoreEnvironment,
    ref: TaskStateRef,
    role: FollowerRole,
    signal: AbortSignal,
  ): Promise<ChangelogFollower> {
    const store = await environment.stores.open(ref.definition.name, ref.partition)
    if (signal.aborted) await environment.stores.close(store)
    signal.throwIfAborted()
    return new ChangelogFollower(environment, ref, role, store, signal)
  }

  /** The next changelog offset to read. */
  get position(): number {
    return this.#range?.position ?? 0
  }

  /** How many changelog offsets are still to be read. */
  get remaining(): number {
    return this.#range === undefined ? Infinity : Math.max(0, this.#range.end - this.#range.position)
  }

  /** How many changelog offsets are not in the store. */
  get lag(): number {
    if (this.#range === undefined) return Infinity
    return this.#rows.length === 0 ? this.remaining : Math.max(0, this.#range.end - this.#stored)
  }

  /** How many gathered rows were not taken. */
  get rows(): number {
    return this.#rows.length
  }

  /** Bytes that were fetched with the gathered rows. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many rows were read since it began. */
  get read(): number {
    return this.#read
  }

  /** Whether the gathered rows should be written at once because something waits for them. */
  get isDue(): boolean {
    return this.remaining === 0 && !this.caughtUp
  }

  /**
   * Decides where to read from, by the current bounds of the changelog. No write of this follower to the store may be
   * under way.
   */
  async begin({ beginning, end }: Pick<PartitionOffsets, 'beginning' | 'end'>): Promise<void> {
    const { topics, clock, stores } = this.#environment
    const { definition } = this.ref
    this.forget()
    const changelog = {
      topicId: topics.changelogId(definition),
      beginning,
      end,
      config: topics.changelogConfig(definition),
    }
    const checkpoint = this.store.checkpoint()
    const plan = planRestore(checkpoint, changelog)
    const reason = whyAnew(plan, this.store)
    if (reason !== undefined) this.#warn(reason)
    if (plan.rebuild !== undefined) await this.store.clear()
    const isTrusted = checkpoint !== undefined && plan.rebuild === undefined
    this.#beginning = beginning
    this.#asOfMs = isTrusted ? checkpoint.wallTimeMs : 0
    this.#gap = isTrusted ? new Gap(checkpoint, changelog) : undefined
    this.#range = { position: plan.from, end }
    if (this.remaining === 0) this.#gap = undefined
    // The checkpoint says to which changelog the store belongs, and as of when, even if the store is empty.
    const checkedMs = this.store.checkpoint()?.wallTimeMs ?? -Infinity
    if (this.remaining === 0 && clock.now() - checkedMs > RENEW_CHECKPOINT_MS) await stores.commit([this.#change()])
  }

  /**
   * Returns false if the batch was already read or does not follow. `anew`: the batch shows that the store cannot be
   * trusted, and was not absorbed; `beginAnew` must come next. Throws `FORMAT_NEWER`, `ROW_UNDECODABLE`.
   */
  absorb({ records, bytes, position, nextOffset, endOffset, whole = false }: RecordBatch): boolean | 'anew' {
    if (this.#range === undefined || nextOffset <= this.#range.position) return false
    if (position > this.#range.position) return false
    this.#gap?.read(records, whole)
    if (this.#gap?.distrust(this.#environment.clock.now()) !== undefined) return 'anew'
    const end = this.role === 'copy' ? endOffset : this.#range.end
    for (const { key, value, headers, offset, timestamp } of records) {
      if (key === null || (this.role === 'task' && offset >= end)) continue
      this.#lastMs = timestamp
      assertRowFormat(headers, this.changelog, offset)
      this.#rows.push({ key, value })
      this.#read++
    }
    this.#bytes += bytes
    this.#range = { position: this.role === 'copy' ? nextOffset : Math.min(nextOffset, end), end }
    if (this.remaining === 0) this.#gap = undefined
    return true
  }

  /**
   * Drops all rows of the store, and begins at the first offset. No write of this follower to the store may be under
   * way.
   */
  async beginAnew(): Promise<void> {
    const { clock } = this.#environment
    this.#warn(this.#gap?.distrust(clock.now()) ?? 'it cannot be trusted')
    const end = this.#range?.end ?? 0
    this.forget()
    await this.store.clear()
    this.#asOfMs = 0
    this.#range = { position: this.#beginning, end }
  }

  /** `undefined` if the store has everything that was read. */
  take(): StoreChange | undefined {
    return this.#range === undefined || this.#range.position <= this.#stored ? undefined : this.#change()
  }

  /** Drops the gathered rows. Nothing more is written until the follower begins again. */
  forget(): void {
    this.#range = undefined
    this.#gap = undefined
    this.#lastMs = 0
    this.#rows = []
    this.#bytes = 0
    this.#read = 0
    this.caughtUp = false
  }

  async close(): Promise<void> {
    this.forget()
    await this.#environment.stores.close(this.store)
  }

  /** How much of the changelog is in the store. */
  get #stored(): number {
    return this.store.checkpoint()?.offset ?? 0
  }

  #warn(reason: string): void {
    const { definition, partition } = this.ref
    const subject = this.role === 'copy' ? 'The warm copy of partition' : 'Partition'
    this.#environment.log.warn(
      { table: definition.name, ...this.changelog },
      `${subject} ${partition} of ${definition.name} is rebuilt from its changelog: ${reason}.`,
    )
  }

  #change(): StoreChange {
    const { topics, clock } = this.#environment
    const rows = this.#rows
    this.#rows = []
    this.#bytes = 0
    const topicId = topics.changelogId(this.ref.definition)
    // Before the end, missing rows may be as old as the last row that was read.
    const nowMs = clock.now()
    const wallTimeMs = this.remaining === 0 ? nowMs : Math.max(this.#asOfMs, Math.min(this.#lastMs, nowMs))
    return { partition: this.store, rows, checkpoint: { topicId, offset: this.position, wallTimeMs } }
  }
}

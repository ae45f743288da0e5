import {
  type CommitOffset,
  isMillraceError,
  partitionKey,
  type RecordBatch,
  toError,
  type TopicPartition,
} from '@millrace/core'
import type {
  AssignmentChange,
  Consumer,
  ConsumerOptions,
  LostPosition,
  RebalanceListener,
  Transport,
} from '@millrace/core/driver'
import { eventually } from '../eventually.ts'
import { encodeMemberData, testAssignor } from './test-assignor.ts'

export interface TestMemberOptions {
  readonly label: string
  readonly groupId: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  readonly instanceId?: string
  readonly assignorName?: string
  readonly isolation?: ConsumerOptions['isolation']
  readonly maxPartitionBytes?: number
  /** If false, gained partitions stay silent; if true (the default), they start at the committed offset, or at 0. */
  readonly seekGained?: boolean
  /** If left out, a position out of range ends the batches. */
  readonly onOutOfRange?: (lost: LostPosition) => void
  /** Called when the driver is about to join. */
  readonly onJoin?: () => void
  /** Awaited first in `onRevoke`. */
  readonly beforeRevoke?: () => Promise<void>
  /** Called in `onLost`. */
  readonly onLost?: () => void
  /** Awaited first in `onAssign`; its rejection is that of the listener. */
  readonly beforeAssign?: (change: AssignmentChange) => Promise<void>
}

export type TestMemberEvent =
  | { readonly type: 'revoke' }
  | { readonly type: 'lost' }
  | ({ readonly type: 'assign' } & AssignmentChange)

export interface Handled extends TopicPartition {
  readonly offset: number
  readonly value: string
}

/**
 * A small worker: handles its records in order, commits everything in `onRevoke`, keeps what it has of kept partitions,
 * and starts gained ones at the group's committed offsets. It handles nothing between revoke and assign.
 */
export class TestMember {
  readonly consumer: Consumer
  readonly handled: Handled[] = []
  readonly events: TestMemberEvent[] = []
  /** Every batch as received, including those of partitions that were given up before it was handled. */
  readonly batches: RecordBatch[] = []
  readonly #options: TestMemberOptions
  readonly #owned = new Map<string, TopicPartition>()
  readonly #positions = new Map<string, number>()
  readonly #queue: RecordBatch[] = []
  #joins = 0
  #holding = true
  #ended: { readonly error: Error | undefined } | undefined

  constructor(transport: Transport, options: TestMemberOptions) {
    this.#options = options
    const listener: RebalanceListener = {
      onRevoke: () => this.#revoke(),
      onAssign: (change) => this.#assign(change),
      onLost: async () => this.#lost(),
    }
    this.consumer = transport.consumer({
      groupId: options.groupId,
      topics: options.topics,
      instanceId: options.instanceId,
      assignor: testAssignor(options.assignorName),
      memberData: () => {
        this.#joins++
        options.onJoin?.()
        return encodeMemberData({ label: options.label, held: [...this.#owned.keys()] })
      },
      sessionTimeoutMs: options.sessionTimeoutMs,
      rebalanceTimeoutMs: 20_000,
      heartbeatIntervalMs: 100,
      isolation: options.isolation ?? 'read-committed',
      maxPartitionBytes: options.maxPartitionBytes ?? 100_000,
      listener,
      ...(options.onOutOfRange === undefined ? {} : { onOutOfRange: options.onOutOfRange }),
    })
    void this.#iterate()
  }

  /** How often its driver was about to join. */
  get joins(): number {
    return this.#joins
  }

  get owned(): readonly string[] {
    return [...this.#owned.keys()].sort()
  }

  /** How `batches()` ended; `undefined` while it continues. */
  get ended(): { readonly error: Error | undefined } | undefined {
    return this.#ended
  }

  /** The labels of all members, from the last assignment's group data. */
  get labels(): string {
    const last = this.events.filter((event) => event.type === 'assign').at(-1)
    return last === undefined ? '' : Buffer.from(last.groupData).toString()
  }

  /** The own data of this member in the last assignment. */
  get ownData(): string {
    const last = this.events.filter((event) => event.type === 'assign').at(-1)
    return last === undefined ? '' : Buffer.from(last.ownData).toString()
  }

  /** Waits until it has this many partitions and is not in a rebalance. */
  async settled(partitions: number): Promise<void> {
    await eventually(() => !this.#holding && this.#owned.size === partitions, {
      what: `member ${this.#options.label} to have ${partitions} partitions (it has ${this.owned.join(', ') || 'none'})`,
      limitMs: 25_000,
    })
  }

  /** Handled offsets of one partition, in order. */
  offsets(partition: number): readonly number[] {
    return this.handled.filter((record) => record.partition === partition).map(({ offset }) => offset)
  }

  async commitAll(): Promise<void> {
    const offsets: CommitOffset[] = []
    for (const [key, partition] of this.#owned) {
      const offset = this.#positions.get(key)
      if (offset !== undefined) offsets.push({ ...partition, offset, metadata: this.#options.label })
    }
    if (offsets.length > 0) await this.consumer.commit(offsets)
  }

  /** Drains and leaves, as a worker does on shutdown. */
  async leave(): Promise<void> {
    this.#holding = true
    await this.commitAll()
    await this.consumer.close()
  }

  async #iterate(): Promise<void> {
    try {
      for await (const batch of this.consumer.batches()) {
        this.batches.push(batch)
        if (!this.#owned.has(partitionKey(batch))) continue
        this.#queue.push(batch)
        if (!this.#holding) this.#handle()
      }
      this.#ended = { error: undefined }
    } catch (thrown) {
      this.#ended = { error: toError(thrown) }
    }
  }

  #handle(): void {
    for (const batch of this.#queue.splice(0)) {
      const key = partitionKey(batch)
      if (!this.#owned.has(key)) continue
      for (const { offset, value } of batch.records) {
        this.handled.push({ topic: batch.topic, partition: batch.partition, offset, value: value?.toString() ?? '' })
      }
      this.#positions.set(key, batch.nextOffset)
    }
  }

  async #revoke(): Promise<void> {
    this.events.push({ type: 'revoke' })
    await this.#options.beforeRevoke?.()
    this.#holding = true
    try {
      await this.commitAll()
    } catch (error) {
      if (!isMillraceError(error, 'MEMBER_FENCED', 'CLOSED')) throw error
    }
  }

  async #assign(change: AssignmentChange): Promise<void> {
    this.events.push({ type: 'assign', ...change })
    await this.#options.beforeAssign?.(change)
    for (const partition of change.lost) this.#forget(partition)
    for (const partition of change.gained) this.#owned.set(partitionKey(partition), partition)
    this.#holding = false
    this.#handle()
    if (this.#options.seekGained ?? true) await this.#seekGained(change.gained)
  }

  async #seekGained(gained: readonly TopicPartition[]): Promise<void> {
    if (gained.length === 0) return
    const committed = new Map(
      (await this.consumer.committed(gained)).map((offset) => [partitionKey(offset), offset.offset]),
    )
    for (const partition of gained) this.consumer.seek(partition, committed.get(partitionKey(partition)) ?? 0)
  }

  #lost(): void {
    this.events.push({ type: 'lost' })
    this.#options.onLost?.()
    this.#holding = true
    for (const partition of [...this.#owned.values()]) this.#forget(partition)
  }

  #forget(partition: TopicPartition): void {
    const key = partitionKey(partition)
    this.#owned.delete(key)
    this.#positions.delete(key)
  }
}

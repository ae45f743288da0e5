import { type CommitOffset, deferred, MillraceError, type RecordBatch, type TopicPartition } from '@millrace/core'
import type { AssignmentChange, Consumer, ConsumerOptions, GroupAssignor, Transport } from '@millrace/core/driver'
import { heldItems, request, type SimulatedWire } from './simulated-wire.ts'

/** Most bytes of one fetch of a partition: small, so that there are many. */
const MAX_FETCH_BYTES = 400

/** A member of a group that hears of everything later, and whose session may run out. */
export class SimulatedConsumer implements Consumer {
  readonly #wire: SimulatedWire
  readonly #inner: Consumer
  readonly #options: ConsumerOptions
  /** As the group sees it. */
  readonly assignor: GroupAssignor
  /** Of the requests that were made so far. */
  #served: Promise<void> = Promise.resolve()
  /** As the member knows it. */
  #generation = -1

  constructor(wire: SimulatedWire, transport: Transport, options: ConsumerOptions) {
    this.#wire = wire
    this.#options = options
    this.assignor = wire.names.assignor(options.assignor)
    this.#inner = transport.consumer({
      ...options,
      assignor: this.assignor,
      maxPartitionBytes: Math.min(options.maxPartitionBytes, wire.random.between(1, MAX_FETCH_BYTES)),
      listener: {
        onRevoke: () => this.#revoked(),
        onAssign: (change) => this.#assigned(change),
        onLost: () => this.#lost(),
      },
    })
  }

  start(): Promise<void> {
    return this.#inner.start()
  }

  batches(): AsyncIterable<RecordBatch> {
    return heldItems(this.#wire, 'fetch', this.#inner.batches())
  }

  seek(partition: TopicPartition, offset: number): void {
    this.#inner.seek(partition, offset)
  }

  stop(partitions: readonly TopicPartition[]): void {
    this.#inner.stop(partitions)
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#inner.pause(partitions)
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#inner.resume(partitions)
  }

  committed(partitions: readonly TopicPartition[]): Promise<readonly CommitOffset[]> {
    return this.#inOrder('committed', () => this.#inner.committed(partitions))
  }

  commit(offsets: readonly CommitOffset[]): Promise<void> {
    const generation = this.#generation
    this.#wire.committing(offsets)
    return this.#inOrder('commit', async () => {
      // The request says in which generation it was made, whatever has happened since.
      if (this.#wire.log.group(this.#options.groupId).generation !== generation)
        throw new MillraceError('MEMBER_FENCED', `A commit of generation ${generation} came too late, in a simulation.`)
      await this.#inner.commit(offsets)
      for (const { topic, partition, offset } of offsets) this.#wire.note(`committed ${topic}-${partition}@${offset}`)
    })
  }

  lastHeartbeatMs(): number {
    return this.#generation < 0 ? -Infinity : this.#wire.heartbeats.lastMs
  }

  rejoin(): void {
    this.#inner.rejoin()
  }

  close(options?: { readonly leave?: boolean }): Promise<void> {
    return this.#inner.close(options)
  }

  /** Over one connection: the coordinator serves requests in the order in which they were made, whenever it answers. */
  #inOrder<T>(what: string, call: () => Promise<T>): Promise<T> {
    const before = this.#served
    const served = deferred<void>()
    this.#served = served.promise
    return request(this.#wire, what, async () => {
      await before
      try {
        return await call()
      } finally {
        served.resolve()
      }
    })
  }

  async #revoked(): Promise<void> {
    await this.#wire.hold('news of a rebalance')
    this.#wire.note('revoke')
    this.#wire.revoking(true)
    await this.#options.listener.onRevoke()
    this.#wire.revoking(false)
    await this.#wire.hold('join')
    this.#wire.note('joins again')
  }

  async #assigned(change: AssignmentChange): Promise<void> {
    await this.#wire.hold('assignment')
    this.#wire.assigned(this.#generation, change)
    this.#generation = change.generation
    this.#wire.heartbeats.joined(this.#options.heartbeatIntervalMs)
    const memberId = this.#wire.names.of(change.memberId)
    const list = (partitions: readonly TopicPartition[]): string =>
      partitions.map(({ topic, partition }) => `${topic}-${partition}`).join(' ') || 'nothing'
    this.#wire.note(
      `generation ${change.generation} as ${memberId}: kept ${list(change.kept)}; gained ${list(change.gained)}; lost ${list(change.lost)}`,
    )
    await this.#options.listener.onAssign({ ...change, memberId })
  }

  async #lost(): Promise<void> {
    this.#wire.revoking(false)
    await this.#wire.hold('news of being thrown out')
    this.#generation = -1
    this.#wire.note('lost everything')
    await this.#options.listener.onLost()
  }
}

import { type CommitOffset, MillraceError, type RecordBatch, type TopicPartition, withinLimit } from '@millrace/core'
import { checkOffset, type Consumer, type ConsumerOptions } from '@millrace/core/driver'
import { commitRefusal } from '../log/group-state.ts'
import { Membership } from '../group/membership.ts'
import { SessionKeeper } from '../group/session-keeper.ts'
import { missing } from '../log/plan-append.ts'
import { PartitionBatches, throwOutOfRange } from '../log/partition-batches.ts'
import { checkCommit } from './offsets.ts'
import { Lifespan } from '../log/lifespan.ts'
import type { LogClientContext } from '../log/client-context.ts'

/** Most records of one batch, so that no batch takes long to build. */
const MAX_BATCH_RECORDS = 10_000

const CLOSE_LIMIT_MS = 5000

/** A member of a group on a local log. */
export class LogConsumer implements Consumer {
  readonly #options: ConsumerOptions
  readonly #context: LogClientContext
  readonly #lifespan: Lifespan
  readonly #batches: PartitionBatches
  readonly #membership: Membership
  readonly #sessions: SessionKeeper | undefined
  #running = false

  constructor(options: ConsumerOptions, context: LogClientContext) {
    this.#options = options
    this.#context = context
    this.#lifespan = new Lifespan('consumer', context.lifespan)
    const { backend, isHostDead } = context
    this.#batches = new PartitionBatches(backend, this.#lifespan, {
      limit: { maxBytes: options.maxPartitionBytes, maxRecords: MAX_BATCH_RECORDS },
      onOutOfRange: options.onOutOfRange ?? throwOutOfRange,
    })
    this.#membership = new Membership(options, context, this.#batches)
    this.#sessions =
      isHostDead === undefined ? undefined : new SessionKeeper(this.#membership, options, { ...context, isHostDead })
  }

  start(): Promise<void> {
    return this.#lifespan.run(async () => {
      const absent = this.#context.backend.read((log) =>
        this.#options.topics.find((name) => log.topic(name) === undefined),
      )
      if (absent !== undefined) throw missing(absent)
      this.#running = true
      void this.#membership.run()
      this.#sessions?.start()
      await this.#membership.started
    })
  }

  batches(): AsyncIterable<RecordBatch> {
    return this.#batches
  }

  seek(partition: TopicPartition, offset: number): void {
    checkOffset(partition, offset)
    this.#batches.seek(partition, offset)
  }

  stop(partitions: readonly TopicPartition[]): void {
    this.#batches.stop(partitions)
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#batches.setPaused(partitions, true)
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#batches.setPaused(partitions, false)
  }

  committed(partitions: readonly TopicPartition[]): Promise<readonly CommitOffset[]> {
    const { groupId } = this.#options
    return this.#call(async () =>
      this.#context.backend.read((log) =>
        partitions.flatMap(({ topic, partition }) => log.committedOffset(groupId, topic, partition) ?? []),
      ),
    )
  }

  commit(offsets: readonly CommitOffset[]): Promise<void> {
    const { groupId } = this.#options
    const { memberId: id, generation } = this.#membership
    return this.#call(async () => {
      checkCommit(offsets)
      const refusal = await this.#context.backend.write('quiet', (log) => {
        const refused = commitRefusal(log.group(groupId), { id, generation }, offsets)
        if (refused === undefined) for (const offset of offsets) log.putCommitted(groupId, offset)
        return refused
      })
      if (refusal === undefined) return
      if (refusal.code === 'NOT_ASSIGNED') {
        const { topic, partition } = refusal.partition
        throw new MillraceError(
          'NOT_ASSIGNED',
          `Topic "${topic}" partition ${partition} is not assigned to member ${id} of group "${groupId}".`,
        )
      }
      this.#membership.checkGroup()
      throw new MillraceError(
        'MEMBER_FENCED',
        `Member ${id} of group "${groupId}" is not valid in generation ${generation}.`,
      )
    })
  }

  lastHeartbeatMs(): number {
    if (this.#sessions !== undefined) return this.#membership.lastHeardMs
    return this.#membership.generation >= 0 ? this.#context.clock.monotonic() : -Infinity
  }

  rejoin(): void {
    this.#membership.rejoin()
  }

  async close({ leave = true }: { readonly leave?: boolean } = {}): Promise<void> {
    if (!this.#lifespan.close()) return
    this.#context.ended(this)
    this.#membership.stop(this.#lifespan.closedError())
    this.#sessions?.stop()
    this.#batches.end()
    const leaves = leave || this.#options.instanceId === undefined
    if (this.#running && leaves && !this.#lifespan.killed)
      await withinLimit(this.#context.clock, CLOSE_LIMIT_MS, this.#membership.leave())
  }

  /** Stops without leaving the group. */
  kill(): void {
    this.#lifespan.kill()
    this.#membership.stop()
    this.#sessions?.stop()
    this.#batches.clear()
  }

  #call<T>(call: () => Promise<T>): Promise<T> {
    return this.#lifespan.run(() => {
      if (!this.#running) throw this.#lifespan.closedError()
      return call()
    })
  }
}

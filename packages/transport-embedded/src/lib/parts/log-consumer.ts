import { randomUUID } from 'node:crypto'
import {
  deferred,
  MillraceError,
  type CommitOffset,
  type Consumer,
  type ConsumerOptions,
  type Deferred,
  type RecordBatch,
  type TopicPartition,
} from '@millrace/core'
import { commitRefusal } from '../group/group-state.ts'
import { diffAssignment, type AssignmentDiff } from '../group/diff-assignment.ts'
import { Membership } from '../group/membership.ts'
import { SessionKeeper } from '../group/session-keeper.ts'
import { missing } from '../log/plan-append.ts'
import { BatchFeed, throwOutOfRange } from './batch-feed.ts'
import { checkCommit, checkOffset } from './check-offset.ts'
import { Lifespan } from './lifespan.ts'
import type { OpenStateOptions } from './part-context.ts'

/** Most records of one batch, so that no batch takes long to build. */
const MAX_BATCH_RECORDS = 10_000

const CLOSE_LIMIT_MS = 5000

/** A member of a group on a local log. */
export class LogConsumer implements Consumer {
  readonly #options: ConsumerOptions
  readonly #context: OpenStateOptions
  readonly #lifespan: Lifespan
  readonly #feed: BatchFeed
  readonly #membership: Membership
  readonly #sessions: SessionKeeper | undefined
  readonly #started: Deferred<void> = deferred<void>()
  #running = false

  constructor(options: ConsumerOptions, context: OpenStateOptions) {
    this.#options = options
    this.#context = context
    this.#lifespan = new Lifespan('consumer', context.lifespan)
    const { backend, clock, log, host, patience, isHostDead } = context
    this.#feed = new BatchFeed({
      backend,
      lifespan: this.#lifespan,
      limit: { maxBytes: options.maxPartitionBytes, maxRecords: MAX_BATCH_RECORDS },
      onOutOfRange: options.onOutOfRange ?? throwOutOfRange,
    })
    this.#membership = new Membership(options, {
      backend,
      log,
      host,
      patience,
      monotonic: () => clock.monotonic(),
      newMemberId: () => `${options.instanceId ?? options.groupId}-${randomUUID()}`,
      own: (partitions) => this.#own(partitions),
      joined: () => this.#started.resolve(),
      failed: (error) => this.#fail(error),
    })
    this.#sessions =
      isHostDead === undefined
        ? undefined
        : new SessionKeeper(this.#membership, {
            groupId: options.groupId,
            intervalMs: options.heartbeatIntervalMs,
            backend,
            clock,
            log,
            isHostDead,
          })
    // Seen by whoever awaits start(); a failure later on is told by batches().
    this.#started.promise.catch(() => {})
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
      await this.#started.promise
    })
  }

  batches(): AsyncIterable<RecordBatch> {
    return this.#feed
  }

  seek(partition: TopicPartition, offset: number): void {
    checkOffset(partition, offset)
    this.#feed.seek(partition, offset)
  }

  stop(partitions: readonly TopicPartition[]): void {
    this.#feed.stop(partitions)
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#feed.setPaused(partitions, true)
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#feed.setPaused(partitions, false)
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
      this.#membership.look()
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

  async close(): Promise<void> {
    if (!this.#lifespan.close()) return
    this.#context.ended(this)
    this.#membership.stop()
    this.#sessions?.stop()
    this.#feed.end()
    this.#started.reject(this.#lifespan.closedError())
    if (this.#running && !this.#lifespan.killed) await this.#context.patience(this.#membership.leave(), CLOSE_LIMIT_MS)
  }

  /** Stops without a word to anybody. */
  kill(): void {
    this.#lifespan.kill()
    this.#membership.stop()
    this.#sessions?.stop()
    this.#feed.clear()
  }

  #own(partitions: readonly TopicPartition[]): AssignmentDiff {
    const diff = diffAssignment(this.#feed.partitions(), partitions)
    for (const partition of diff.lost) this.#feed.remove(partition)
    for (const partition of diff.gained) this.#feed.add(partition, undefined)
    return diff
  }

  #fail(error: Error): void {
    this.#sessions?.stop()
    const { groupId } = this.#options
    this.#context.log.error({ groupId, err: error }, 'The consumer has stopped.')
    this.#started.reject(error)
    this.#feed.end(error)
  }

  #call<T>(call: () => Promise<T>): Promise<T> {
    return this.#lifespan.run(() => {
      if (!this.#running) throw this.#lifespan.closedError()
      return call()
    })
  }
}

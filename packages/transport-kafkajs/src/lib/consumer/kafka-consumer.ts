import {
  MillraceError,
  type CommitOffset,
  type Consumer,
  type ConsumerOptions,
  type RecordBatch,
  type TopicPartition,
} from '@millrace/core'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import { committedOffsets } from '../cluster/committed-offsets.ts'
import { CoordinatorLink } from '../cluster/coordinator.ts'
import type { OpenStateOptions } from '../cluster/part-context.ts'
import { requireSafe } from '../fetch/kafka-reader.ts'
import { throwOutOfRange } from '../fetch/lost-position.ts'
import { PartitionFetcher } from '../fetch/partition-fetcher.ts'
import { commitOffsets } from './commit-offsets.ts'
import { GroupMember } from './group-member.ts'

/**
 * A consumer with membership of its own (`GroupMember`) instead of kafkajs's runner, and fetches of its own
 * (`PartitionFetcher`), which run over other connections than the group's requests.
 */
export class KafkaConsumer implements Consumer {
  readonly #options: ConsumerOptions
  readonly #context: OpenStateOptions
  readonly #closing = new AbortController()
  readonly #groupLinks: BrokerLinks
  readonly #fetchLinks: BrokerLinks
  readonly #coordinator: CoordinatorLink
  readonly #fetcher: PartitionFetcher
  readonly #member: GroupMember
  #running = false
  #closed: Promise<void> | undefined

  constructor(options: ConsumerOptions, context: OpenStateOptions) {
    this.#options = options
    this.#context = context
    const { signal } = this.#closing
    this.#groupLinks = context.openLinks()
    this.#fetchLinks = context.openLinks()
    this.#coordinator = new CoordinatorLink('group', options.groupId, { view: context.view, links: this.#groupLinks })
    this.#fetcher = new PartitionFetcher(
      {
        isolation: options.isolation,
        maxPartitionBytes: options.maxPartitionBytes,
        brokenBatches: options.brokenBatches ?? 'throw',
      },
      { ...context, links: this.#fetchLinks, signal, onOutOfRange: options.onOutOfRange ?? throwOutOfRange },
    )
    this.#member = new GroupMember(options, {
      ...context,
      coordinator: this.#coordinator,
      fetcher: this.#fetcher,
      signal,
    })
  }

  async start(): Promise<void> {
    this.#requireOpen()
    if (!this.#running) {
      this.#running = true
      void this.#member.run()
    }
    return this.#member.started
  }

  batches(): AsyncIterable<RecordBatch> {
    return this.#fetcher.batches()
  }

  seek(partition: TopicPartition, offset: number): void {
    requireSafe(partition, offset)
    this.#fetcher.seek(partition, offset)
  }

  stop(partitions: readonly TopicPartition[]): void {
    this.#fetcher.stop(partitions)
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#fetcher.pause(partitions)
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#fetcher.resume(partitions)
  }

  async committed(partitions: readonly TopicPartition[]): Promise<readonly CommitOffset[]> {
    this.#requireStarted()
    const { groupId } = this.#options
    return committedOffsets(this.#context, { groupId, partitions, stable: true }, this.#closing.signal)
  }

  async commit(offsets: readonly CommitOffset[]): Promise<void> {
    this.#requireStarted()
    for (const offset of offsets) requireSafe(offset, offset.offset)
    if (offsets.length === 0) return
    await commitOffsets(offsets, {
      groupId: this.#options.groupId,
      recovery: this.#context.recovery,
      coordinator: this.#coordinator,
      ownership: this.#member.ownership,
      session: () => this.#member.session(),
      signal: this.#closing.signal,
    })
  }

  lastHeartbeatMs(): number {
    return this.#member.lastHeartbeatMs
  }

  rejoin(): void {
    this.#member.rejoin()
  }

  /** Closes without a word to the group, as a process does that dies. */
  abandon(): void {
    this.#member.forget()
    this.#groupLinks.close()
    void this.close()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new MillraceError('CLOSED', `The consumer of group "${this.#options.groupId}" is closed.`))
    this.#fetcher.end()
    await this.#member.leave()
    this.#fetchLinks.close()
    this.#groupLinks.close()
    this.#context.onClosed(this)
  }

  #requireOpen(): void {
    if (this.#closed !== undefined)
      throw new MillraceError('CLOSED', `The consumer of group "${this.#options.groupId}" is closed.`)
  }

  #requireStarted(): void {
    this.#requireOpen()
    if (!this.#running)
      throw new MillraceError('CLOSED', `The consumer of group "${this.#options.groupId}" has not been started.`)
  }
}

import { type CommitOffset, MillraceError, partitionKey, type RecordBatch, type TopicPartition } from '@millrace/core'
import { checkOffset, type Consumer, type ConsumerOptions } from '@millrace/core/driver'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import { committedOffsets } from '../cluster/offsets.ts'
import { CoordinatorLink } from '../cluster/coordinator.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { throwOutOfRange } from '../fetch/lost-position.ts'
import { PartitionFetcher } from '../fetch/partition-fetcher.ts'
import { KafkaMember } from './group-member.ts'
import { retrying } from '../cluster/retrying.ts'
import { isMembershipLost, KafkaCode } from '../errors/kafka-errors.ts'
import { offsetCommitRequest } from '../wire/requests/offsets.ts'

/**
 * A consumer with its own membership (`KafkaMember`) instead of kafkajs's runner, and its own fetches
 * (`PartitionFetcher`), which use other connections than the group's requests.
 */
export class KafkaConsumer implements Consumer {
  readonly #options: ConsumerOptions
  readonly #context: KafkaClientContext
  readonly #closing = new AbortController()
  readonly #groupLinks: BrokerLinks
  readonly #coordinator: CoordinatorLink
  readonly #fetcher: PartitionFetcher
  readonly #member: KafkaMember
  #running = false
  #closed: Promise<void> | undefined

  constructor(options: ConsumerOptions, context: KafkaClientContext) {
    this.#options = options
    this.#context = context
    const { signal } = this.#closing
    this.#groupLinks = context.openLinks()
    this.#coordinator = new CoordinatorLink('group', options.groupId, { view: context.view, links: this.#groupLinks })
    this.#fetcher = new PartitionFetcher(
      {
        isolation: options.isolation,
        maxPartitionBytes: options.maxPartitionBytes,
        brokenBatches: options.brokenBatches ?? 'throw',
        onOutOfRange: options.onOutOfRange ?? throwOutOfRange,
      },
      context,
      signal,
    )
    this.#member = new KafkaMember({ ...context, options, coordinator: this.#coordinator, signal }, this.#fetcher)
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
    checkOffset(partition, offset)
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
    for (const offset of offsets) checkOffset(offset, offset.offset)
    if (offsets.length === 0) return
    await this.#commit(offsets)
  }

  lastHeartbeatMs(): number {
    return this.#member.lastHeartbeatMs
  }

  rejoin(): void {
    this.#member.rejoin()
  }

  /** Closes without leaving the group, like a process that dies. */
  abandon(): void {
    this.#member.forget()
    this.#groupLinks.close()
    void this.close()
  }

  close({ leave = true }: { readonly leave?: boolean } = {}): Promise<void> {
    // No process could resume the membership of a dynamic member.
    if (!leave && this.#options.instanceId !== undefined) this.#member.forget()
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new MillraceError('CLOSED', `The consumer of group "${this.#options.groupId}" is closed.`))
    this.#fetcher.close()
    await this.#member.leave()
    this.#groupLinks.close()
    this.#context.onClosed(this)
  }

  /**
   * Commits in the generation that is current when the commit is sent, if the member has owned the partitions
   * throughout. A commit that waited for a rebalance is valid for partitions that were kept, and not for those that
   * were lost and are back. This is checked here, because Kafka accepts commits of partitions that the member does not
   * own.
   */
  async #commit(offsets: readonly CommitOffset[]): Promise<void> {
    const { groupId } = this.#options
    const coordinator = this.#coordinator
    const { owned } = this.#member
    const epochs = offsets.map((offset) => owned.epochOf(offset))
    await retrying(this.#context.reconnects, `commit of group "${groupId}"`, this.#closing.signal, async () => {
      const session = await this.#member.session()
      if (session === undefined) throw fenced(groupId)
      const foreign = offsets.find((offset, nth) => {
        const epoch = owned.epochOf(offset)
        return epoch === undefined || epoch !== epochs[nth]
      })
      if (foreign !== undefined)
        throw new MillraceError(
          'NOT_ASSIGNED',
          `${partitionKey(foreign)} is not assigned to this member of group "${groupId}", or was not throughout the commit.`,
        )
      const results = await coordinator.send(offsetCommitRequest(session.membership, offsets))
      const failed = results.find(({ errorCode }) => errorCode !== KafkaCode.ok)
      if (failed === undefined) return
      if (isMembershipLost(failed.errorCode)) {
        session.endFor(failed.errorCode)
        throw fenced(groupId)
      }
      coordinator.check(failed.errorCode, `The offset of ${partitionKey(failed)} could not be committed.`)
    })
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

function fenced(groupId: string): MillraceError {
  return new MillraceError('MEMBER_FENCED', `This member of group "${groupId}" is no longer in its generation.`)
}

import {
  deferred,
  MillraceError,
  type OutgoingRecord,
  type SendOptions,
  type SendOutcome,
  type TopicPartition,
} from '@millrace/core'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { PartContext } from '../cluster/part-context.ts'
import { isPassing, reasonOf, retrying } from '../cluster/retrying.ts'
import { compressionBits, requireCodec } from '../compression/compression.ts'
import { isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { encodeRecordBatch, type BatchCompression, type BatchProducer } from '../wire/encode-record-batch.ts'
import { produceRequest, type ProducedBatch } from '../wire/requests/produce.ts'
import { PendingBatches, type PartitionQueue } from './pending-batches.ts'

/** What differs inside a transaction. */
export interface SendingMode {
  readonly transactionalId: string | undefined
  /** Before the first request of a send to these partitions. */
  prepare(partitions: readonly TopicPartition[]): Promise<void>
  /** Who writes the next batch of a partition. */
  producer(key: string): BatchProducer
  /** A batch of so many records was stored. */
  stored(key: string, records: number): void
  /** The error that ends the producer, for answers that do. */
  fatal(errorCode: number): Error | undefined
}

export interface BatchSenderDeps extends Pick<PartContext, 'settings' | 'view' | 'recovery' | 'codecs'> {
  readonly links: BrokerLinks
  readonly signal: AbortSignal
}

const MAX_BATCH_RECORDS = 10_000
const LOOKS_UNTIL_TOPIC_MISSING = 3
const LOOKS_UNTIL_PARTITION_MISSING = 1
const CORRUPTIONS_UNTIL_REFUSED = 3
const CORRUPT_MESSAGE = 2

/**
 * Stores records through Produce requests: each round sends at most one request to each leader, with the next batch of
 * every partition, so a partition never has two under way and its order is kept whatever is sent again. Sends that
 * share a partition wait for one another.
 */
export class BatchSender {
  readonly #mode: SendingMode
  readonly #deps: BatchSenderDeps
  readonly #tails = new Map<string, Promise<void>>()

  constructor(mode: SendingMode, deps: BatchSenderDeps) {
    this.#mode = mode
    this.#deps = deps
  }

  async send(records: readonly OutgoingRecord[], { guard }: SendOptions): Promise<readonly SendOutcome[]> {
    const { settings, view, recovery, signal } = this.#deps
    signal.throwIfAborted()
    const pending = new PendingBatches(records, {
      maxBatchRecords: MAX_BATCH_RECORDS,
      maxBatchBytes: settings.maxBatchBytes,
      maxRequestBytes: settings.maxRequestBytes,
    })
    const done = deferred<void>()
    const earlier = this.#queueBehind([...pending.queues.keys()], done.promise)
    try {
      if (earlier.length > 0) await Promise.all(earlier)
      const topics = [...new Set([...pending.queues.values()].map(({ topic }) => topic))]
      await retrying(recovery, 'topics could not be looked up', signal, () => view.ensure(topics))
      for (;;) {
        const open = [...pending.queues.values()].filter(({ batches }) => batches.length > 0)
        if (open.length === 0) return pending.outcomes
        await this.#round(pending, open, guard)
      }
    } finally {
      done.resolve()
      for (const key of pending.queues.keys()) if (this.#tails.get(key) === done.promise) this.#tails.delete(key)
    }
  }

  /** Resolves when no send is under way. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }

  #queueBehind(keys: readonly string[], tail: Promise<void>): Promise<void>[] {
    const earlier: Promise<void>[] = []
    for (const key of keys) {
      const before = this.#tails.get(key)
      if (before !== undefined) earlier.push(before)
      this.#tails.set(key, tail)
    }
    return earlier
  }

  async #round(pending: PendingBatches, open: readonly PartitionQueue[], guard: () => void): Promise<void> {
    const { view, recovery, signal } = this.#deps
    const byLeader = new Map<number, PartitionQueue[]>()
    const troubles: string[] = []
    for (const queue of open) {
      const trouble = this.#withoutLeader(pending, queue)
      if (trouble !== undefined) troubles.push(trouble)
      if (trouble !== undefined || queue.batches.length === 0) continue
      const leader = view.leader(queue)
      const list = byLeader.get(leader)
      if (list === undefined) byLeader.set(leader, [queue])
      else list.push(queue)
    }
    const ends = await Promise.allSettled(
      [...byLeader].map(([leader, queues]) => this.#request(pending, leader, pending.nextRequest(queues), guard)),
    )
    for (const end of ends) {
      if (end.status === 'rejected') throw end.reason
      if (end.value !== undefined) troubles.push(end.value)
    }
    signal.throwIfAborted()
    const [trouble] = troubles
    if (trouble !== undefined) await recovery.wait('sending', trouble, signal)
  }

  /** Why a queue cannot be sent yet; refuses its records when their partition stays away from the metadata. */
  #withoutLeader(pending: PendingBatches, queue: PartitionQueue): string | undefined {
    const { view } = this.#deps
    const topic = view.topic(queue.topic)
    if (topic === undefined) {
      const refusal = view.refusal(queue.topic)
      const missing = new MillraceError('TOPIC_MISSING', `Topic "${queue.topic}" does not exist.`)
      if (refusal === undefined && queue.looksMissing++ < LOOKS_UNTIL_TOPIC_MISSING) return missing.detail
      pending.refuseAll(queue, refusal ?? missing)
      return undefined
    }
    if (queue.partition >= topic.leaders.length || queue.partition < 0) {
      const missing = new MillraceError(
        'PARTITION_MISSING',
        `Topic "${queue.topic}" has ${topic.leaders.length} partitions, so there is no partition ${queue.partition}.`,
      )
      if (queue.looksMissing++ < LOOKS_UNTIL_PARTITION_MISSING) return missing.detail
      pending.refuseAll(queue, missing)
      return undefined
    }
    return view.leader(queue) < 0 ? `${queue.key} has no leader.` : undefined
  }

  /** One request; gives why something of it must be sent again. */
  async #request(
    pending: PendingBatches,
    leader: number,
    queues: readonly PartitionQueue[],
    guard: () => void,
  ): Promise<string | undefined> {
    const { view, links, settings } = this.#deps
    try {
      await this.#mode.prepare(queues)
      const address = view.node(leader)
      if (address === undefined) return `Broker ${leader} is not known.`
      const link = links.ready(address) ?? (await links.to(address))
      const compression = this.#compression()
      const batches = queues.flatMap((queue) => {
        const head = queue.batches[0]
        if (head === undefined) return []
        return [
          {
            topic: queue.topic,
            partition: queue.partition,
            data: encodeRecordBatch(pending.recordsOf(head), this.#mode.producer(queue.key), compression),
          },
        ]
      })
      const options = {
        guard,
        transactionalId: this.#mode.transactionalId,
        timeoutMs: Math.max(1_000, settings.requestTimeoutMs - 2_000),
      }
      const answers = await link.send(produceRequest(batches, options))
      return this.#absorb(pending, queues, answers)
    } catch (error) {
      if (!isPassing(error)) throw error
      return reasonOf(error)
    }
  }

  #absorb(
    pending: PendingBatches,
    queues: readonly PartitionQueue[],
    answers: readonly ProducedBatch[],
  ): string | undefined {
    let trouble: string | undefined
    const unanswered = new Map(queues.map((queue) => [queue.key, queue]))
    for (const answer of answers) {
      const key = `${answer.topic}/${answer.partition}`
      const queue = unanswered.get(key)
      if (queue === undefined) continue
      unanswered.delete(key)
      trouble = this.#answered(pending, queue, answer) ?? trouble
    }
    const [forgotten] = unanswered.keys()
    return forgotten === undefined ? trouble : `The answer did not name ${forgotten}.`
  }

  #answered(
    pending: PendingBatches,
    queue: PartitionQueue,
    { errorCode, baseOffset, badRecords, message }: ProducedBatch,
  ): string | undefined {
    if (errorCode === KafkaCode.ok) {
      this.#mode.stored(queue.key, queue.batches[0]?.indexes.length ?? 0)
      pending.stored(queue, baseOffset)
      return undefined
    }
    const fatal = this.#mode.fatal(errorCode)
    if (fatal !== undefined) throw fatal
    const corrupt = errorCode === CORRUPT_MESSAGE && ++queue.corruptions >= CORRUPTIONS_UNTIL_REFUSED
    if (isRetriable(errorCode) && !corrupt) return `Kafka answered ${kafkaErrorName(errorCode)} for ${queue.key}.`
    const said = message === undefined ? '' : ` ${message}`
    const error = kafkaError(errorCode, `A record for ${queue.key} was refused.${said}`)
    if (badRecords.length > 0) pending.refuse(queue, error, badRecords)
    else if (!this.#mayBeOneRecord(errorCode) || !pending.split(queue)) pending.refuse(queue, error)
    return undefined
  }

  /** Codes that one record of a batch can be to blame for: the batch is cut in two until the record is found. */
  #mayBeOneRecord(errorCode: number): boolean {
    return (
      errorCode === KafkaCode.messageTooLarge ||
      errorCode === KafkaCode.recordListTooLarge ||
      errorCode === KafkaCode.invalidRecord ||
      errorCode === CORRUPT_MESSAGE
    )
  }

  #compression(): BatchCompression {
    const { compression } = this.#deps.settings
    return {
      bits: compressionBits(compression),
      codec: compression === 'none' ? undefined : requireCodec(compression, this.#deps.codecs()),
    }
  }
}

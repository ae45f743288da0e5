import {
  deferred,
  MillraceError,
  type OutgoingRecord,
  type SendOptions,
  type SendOutcome,
  type TopicPartition,
} from '@millrace/core'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { ClientLinks, KafkaClientContext } from '../cluster/client-context.ts'
import { isPassing, reasonOf, retrying, waitAtMost } from '../cluster/retrying.ts'
import { missingPartition, missingTopic } from '../cluster/to-leaders.ts'
import { groupBy } from '../wire/requests/request-fields.ts'
import { compressionBits, requireCodec } from '../compression/compression.ts'
import { isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { encodeRecordBatch, type BatchCompression, type BatchProducer } from '../wire/encode-record-batch.ts'
import { produceRequest, type ProducedBatch } from '../wire/requests/producers.ts'
import { DelayedQueue, isOpen, PendingBatches, type PartitionQueue } from './pending-batches.ts'

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

/** A send under way. */
interface SendUnderWay {
  readonly pending: PendingBatches
  readonly guard: () => void
}

const CLOSE_LIMIT_MS = 5_000
const MAX_BATCH_RECORDS = 10_000
const LOOKUPS_UNTIL_TOPIC_MISSING = 3
const LOOKUPS_UNTIL_PARTITION_MISSING = 1
const CORRUPTIONS_UNTIL_REFUSED = 3
const CORRUPT_MESSAGE = 2

/**
 * Stores records through Produce requests: each round sends at most one request to each leader, with the next batch of
 * every partition, so a partition never has two under way and its order is kept whatever is sent again. Sends that
 * share a partition wait for one another. Partitions that cannot be written to just now leave a send whose caller wants that,
 * and continue by themselves.
 */
export class BatchSender {
  readonly #mode: SendingMode
  readonly #context: KafkaClientContext
  readonly #links: BrokerLinks
  readonly #signal: AbortSignal
  readonly #tails = new Map<string, Promise<void>>()
  /** Kafka answers a connection in order, and a request may wait long for replicas: delayed partitions have their own. */
  #delayedLinks: BrokerLinks | undefined

  constructor(mode: SendingMode, context: KafkaClientContext, { links, signal }: ClientLinks) {
    this.#mode = mode
    this.#context = context
    this.#links = links
    this.#signal = signal
  }

  async send(records: readonly OutgoingRecord[], { guard, onDelayed }: SendOptions): Promise<readonly SendOutcome[]> {
    const { settings, view, reconnects } = this.#context
    const signal = this.#signal
    signal.throwIfAborted()
    const pending = new PendingBatches(records, {
      maxBatchRecords: MAX_BATCH_RECORDS,
      maxBatchBytes: settings.maxBatchBytes,
      maxRequestBytes: settings.maxRequestBytes,
    })
    const sending = { pending, guard }
    const done = deferred<void>()
    const earlier = this.#queueBehind([...pending.queues.keys()], done.promise)
    const delayed: DelayedQueue[] = []
    const goingOn: Promise<void>[] = []
    try {
      if (earlier.length > 0) await Promise.all(earlier)
      const topics = [...new Set([...pending.queues.values()].map(({ topic }) => topic))]
      await retrying(reconnects, 'topics could not be looked up', signal, () => view.ensure(topics))
      let open = [...pending.queues.values()]
      for (;;) {
        open = open.filter(isOpen)
        if (open.length === 0) return pending.outcomesWithout(delayed)
        const trouble = await this.#round(sending, open, this.#links)
        if (trouble === undefined) continue
        if (onDelayed === undefined) {
          await reconnects.wait('sending', trouble, signal)
          continue
        }
        for (const queue of open.filter((one) => isOpen(one) && one.trouble !== undefined)) {
          const partition = new DelayedQueue(queue)
          delayed.push(partition)
          goingOn.push(this.#goOn(sending, partition))
          onDelayed(partition)
        }
        open = open.filter((one) => !delayed.some(({ queue }) => queue === one))
      }
    } finally {
      const late = new Set(delayed.map(({ queue }) => queue.key))
      this.#leave(
        [...pending.queues.keys()].filter((key) => !late.has(key)),
        done.promise,
      )
      if (late.size === 0) done.resolve()
      else
        void Promise.all(goingOn).then(() => {
          this.#leave([...late], done.promise)
          done.resolve()
        })
    }
  }

  /** Waits for sends under way, not for ever, then cuts the connections: what still waits rejects with `CLOSED`. */
  async close(closing: AbortController): Promise<void> {
    await waitAtMost(this.#idle(), CLOSE_LIMIT_MS, this.#context.clock)
    closing.abort(new MillraceError('CLOSED', 'The producer is closed.'))
    this.#links.close()
    this.#delayedLinks?.close()
  }

  /** Resolves when no send is under way. */
  async #idle(): Promise<void> {
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

  #leave(keys: readonly string[], tail: Promise<void>): void {
    for (const key of keys) if (this.#tails.get(key) === tail) this.#tails.delete(key)
  }

  /** A partition that has left its send: tried until all of it is stored or refused. */
  async #goOn(sending: SendUnderWay, { queue, settled, indexes }: DelayedQueue): Promise<void> {
    const { reconnects, openLinks } = this.#context
    const signal = this.#signal
    try {
      while (isOpen(queue)) {
        if (queue.trouble !== undefined) await reconnects.wait('sending', queue.trouble, signal)
        await this.#round(sending, [queue], (this.#delayedLinks ??= openLinks()))
      }
      settled.resolve(indexes.flatMap((index) => sending.pending.outcomes[index] ?? []))
    } catch (error) {
      settled.reject(error)
    }
  }

  /** Tries each of these once; gives why some of it must be sent again, and notes it with the queues concerned. */
  async #round(
    sending: SendUnderWay,
    open: readonly PartitionQueue[],
    links: BrokerLinks,
  ): Promise<string | undefined> {
    const { view } = this.#context
    for (const queue of open) queue.trouble = this.#withoutLeader(sending.pending, queue)
    const sendable = open.filter((queue) => queue.trouble === undefined && isOpen(queue))
    const byLeader = groupBy(sendable, (queue) => view.leader(queue))
    const ends = await Promise.allSettled(
      [...byLeader].map(([leader, queues]) =>
        this.#request(sending, leader, sending.pending.nextRequest(queues), links),
      ),
    )
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    this.#signal.throwIfAborted()
    return open.find((queue) => isOpen(queue) && queue.trouble !== undefined)?.trouble
  }

  /** Why a queue cannot be sent yet; refuses its records when their partition stays away from the metadata. */
  #withoutLeader(pending: PendingBatches, queue: PartitionQueue): string | undefined {
    const { view } = this.#context
    const topic = view.topic(queue.topic)
    if (topic === undefined) {
      const refusal = view.refusal(queue.topic)
      const missing = missingTopic(queue.topic)
      if (refusal === undefined && queue.lookupsMissing++ < LOOKUPS_UNTIL_TOPIC_MISSING) return missing.detail
      pending.refuseAll(queue, refusal ?? missing)
      return undefined
    }
    if (queue.partition >= topic.leaders.length || queue.partition < 0) {
      const missing = missingPartition(queue, topic.leaders.length)
      if (queue.lookupsMissing++ < LOOKUPS_UNTIL_PARTITION_MISSING) return missing.detail
      pending.refuseAll(queue, missing)
      return undefined
    }
    return view.leader(queue) < 0 ? `${queue.key} has no leader.` : undefined
  }

  async #request(
    { pending, guard }: SendUnderWay,
    leader: number,
    queues: readonly PartitionQueue[],
    links: BrokerLinks,
  ): Promise<void> {
    const { view, settings } = this.#context
    const fail = (trouble: string): void => {
      for (const queue of queues) queue.trouble = trouble
    }
    try {
      await this.#mode.prepare(queues)
      const address = view.node(leader)
      if (address === undefined) return fail(`Broker ${leader} is not known.`)
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
      this.#absorb(pending, queues, await link.send(produceRequest(batches, options)))
    } catch (error) {
      if (!isPassing(error)) throw error
      fail(reasonOf(error))
    }
  }

  #absorb(pending: PendingBatches, queues: readonly PartitionQueue[], answers: readonly ProducedBatch[]): void {
    const unanswered = new Map(queues.map((queue) => [queue.key, queue]))
    for (const answer of answers) {
      const key = `${answer.topic}/${answer.partition}`
      const queue = unanswered.get(key)
      if (queue === undefined) continue
      unanswered.delete(key)
      queue.trouble = this.#answered(pending, queue, answer)
    }
    for (const queue of unanswered.values()) queue.trouble = `The answer did not name ${queue.key}.`
  }

  /** Why the batch must be sent again. */
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
    const error = kafkaError(errorCode, `A record for ${queue.key} was refused.${said}`, 'RECORD_REFUSED', 'Write')
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
    const { compression } = this.#context.settings
    return {
      bits: compressionBits(compression),
      codec: compression === 'none' ? undefined : requireCodec(compression, this.#context.codecs()),
    }
  }
}

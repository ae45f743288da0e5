import {
  byPartition,
  grouped,
  MillraceError,
  type OutgoingRecord,
  type TopicPartition,
  withinLimit,
} from '@millrace/core'
import type { Producer, SendOptions, SendOutcome } from '@millrace/core/driver'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { isPassing, reasonOf, retrying } from '../cluster/retrying.ts'
import { missingPartition, missingTopic } from '../cluster/to-leaders.ts'
import { batchCompression } from '../compression/compression.ts'
import { endsNumbers, isRetriable, kafkaError, kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { encodeRecordBatch } from '../wire/encode-record-batch.ts'
import { produceRequest, type ProducedBatch } from '../wire/requests/producers.ts'
import { IdempotentSends } from './idempotent-sends.ts'
import { InterruptedSends } from './interrupted-sends.ts'
import { partitionCount } from './partition-count.ts'
import { PartitionTurns } from './partition-turns.ts'
import { DelayedQueue, isOpen, PendingBatches, type PartitionQueue } from './pending-batches.ts'
import type { SendIdentity } from './send-identity.ts'

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
/** Codes that a single record of a batch may cause: the batch is split until that record is found. */
const MAY_BE_ONE_RECORD: ReadonlySet<number> = new Set([
  KafkaCode.messageTooLarge,
  KafkaCode.recordListTooLarge,
  KafkaCode.invalidRecord,
  KafkaCode.corruptMessage,
])

/**
 * Stores records through Produce requests. Each round sends at most one request to each leader, with the next batch of
 * every partition, so a partition never has two under way and its order survives every resend. Sends that share a
 * partition wait for one another. Partitions that accept nothing at present leave a send whose caller wants that, and
 * continue by themselves.
 *
 * Every batch is acknowledged by all in-sync replicas. A request whose answer was lost is sent again, with the same
 * batches under the same numbers, so it is stored once, and never after a later one.
 */
export class KafkaProducer implements Producer {
  /** Also used for the transaction's other requests, because Kafka answers a connection in order. */
  readonly links: BrokerLinks
  readonly #identity: SendIdentity
  readonly #interrupted: InterruptedSends
  readonly #context: KafkaClientContext
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined
  readonly #turns = new PartitionTurns()
  /**
   * Delayed partitions have their own connections, because Kafka answers a connection in order and a request may wait
   * long for replicas.
   */
  #delayedLinks: BrokerLinks | undefined

  /** `identity`: default is that of a producer outside of transactions. */
  constructor(context: KafkaClientContext, identity: SendIdentity = new IdempotentSends(context)) {
    this.links = context.openLinks()
    this.#identity = identity
    this.#interrupted = new InterruptedSends(identity.sequences)
    this.#context = context
  }

  /** Aborts when the sends under way at the close are over, or have taken too long. */
  get signal(): AbortSignal {
    return this.#closing.signal
  }

  async partitions(topic: string): Promise<number> {
    this.#requireOpen()
    return partitionCount(this.#context, topic, this.signal)
  }

  brokerOf(partition: TopicPartition): number {
    return this.#context.view.leader(partition)
  }

  async send(records: readonly OutgoingRecord[], { guard, onDelayed }: SendOptions): Promise<readonly SendOutcome[]> {
    const { settings, view, reconnects } = this.#context
    const { signal } = this
    this.#requireOpen()
    const pending = new PendingBatches(records, { ...settings, maxBatchRecords: MAX_BATCH_RECORDS })
    const sending = { pending, guard }
    const turn = this.#turns.take([...pending.queues.keys()])
    const delayed: DelayedQueue[] = []
    const goingOn: Promise<void>[] = []
    try {
      if (turn.earlier.length > 0) await Promise.all(turn.earlier)
      this.#interrupted.resume(pending)
      const topics = [...new Set([...pending.queues.values()].map(({ topic }) => topic))]
      await retrying(reconnects, 'topics could not be looked up', signal, () => view.ensure(topics))
      let open = [...pending.queues.values()]
      for (;;) {
        open = open.filter(isOpen)
        if (open.length === 0) return pending.outcomesWithout(delayed)
        const trouble = await this.#round(sending, open, this.links)
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
    } catch (error) {
      this.#interrupted.add(pending)
      throw error
    } finally {
      if (delayed.length === 0) turn.end()
      else {
        const late = new Set(delayed.map(({ queue }) => queue.key))
        turn.leave([...pending.queues.keys()].filter((key) => !late.has(key)))
        void Promise.all(goingOn).then(() => turn.end())
      }
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /**
   * Waits for sends under way, within a limit, and then closes the connections: what still waits rejects with `CLOSED`.
   */
  async #close(): Promise<void> {
    await withinLimit(this.#context.clock, CLOSE_LIMIT_MS, this.#turns.over())
    this.#closing.abort(new MillraceError('CLOSED', 'The producer is closed.'))
    this.links.close()
    this.#delayedLinks?.close()
    this.#context.onClosed(this)
  }

  #requireOpen(): void {
    if (this.#closed !== undefined) throw new MillraceError('CLOSED', 'The producer is closed.')
  }

  /** Continues a partition that has left its send until everything is stored or refused. */
  async #goOn(sending: SendUnderWay, { queue, settled, indexes }: DelayedQueue): Promise<void> {
    const { reconnects, openLinks } = this.#context
    const { signal } = this
    try {
      while (isOpen(queue)) {
        if (queue.trouble !== undefined) await reconnects.wait('sending', queue.trouble, signal)
        await this.#round(sending, [queue], (this.#delayedLinks ??= openLinks()))
      }
      settled.resolve(indexes.flatMap((index) => sending.pending.outcomes[index] ?? []))
    } catch (error) {
      this.#interrupted.add(sending.pending)
      settled.reject(error)
    }
  }

  /** Tries each queue once. Returns why some must be sent again, and notes the reason with the queues concerned. */
  async #round(
    sending: SendUnderWay,
    open: readonly PartitionQueue[],
    links: BrokerLinks,
  ): Promise<string | undefined> {
    const { view } = this.#context
    for (const queue of open) queue.trouble = this.#withoutLeader(sending.pending, queue)
    const sendable = open.filter((queue) => queue.trouble === undefined && isOpen(queue))
    const byLeader = grouped(sendable, (queue) => view.leader(queue))
    const ends = await Promise.allSettled(
      [...byLeader].map(([leader, queues]) =>
        this.#request(sending, leader, sending.pending.nextRequest(queues), links),
      ),
    )
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    this.signal.throwIfAborted()
    return open.find((queue) => isOpen(queue) && queue.trouble !== undefined)?.trouble
  }

  /** Why a queue cannot be sent yet; refuses its records if their partition stays absent from the metadata. */
  #withoutLeader(pending: PendingBatches, queue: PartitionQueue): string | undefined {
    const { view } = this.#context
    const leaders = view.topic(queue.topic)?.leaders
    if (leaders?.[queue.partition] !== undefined)
      return view.leader(queue) < 0 ? `${queue.key} has no leader.` : undefined
    const refusal = view.refusal(queue.topic)
    const missing = leaders === undefined ? missingTopic(queue.topic) : missingPartition(queue, leaders.length)
    const lookups = leaders === undefined ? LOOKUPS_UNTIL_TOPIC_MISSING : LOOKUPS_UNTIL_PARTITION_MISSING
    if (refusal === undefined && queue.lookupsMissing++ < lookups) return missing.detail
    pending.refuseAll(queue, refusal ?? missing)
    return undefined
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
      const refusal = await this.#identity.prepare(queues, this.signal)
      if (refusal !== undefined) return queues.forEach((queue) => pending.refuseAll(queue, refusal))
      const address = view.node(leader)
      if (address === undefined) return fail(`Broker ${leader} is not known.`)
      const link = links.ready(address) ?? (await links.to(address))
      const compression = batchCompression(settings.compression, this.#context.codecs())
      const batches = queues.flatMap(({ topic, partition, key, batches: [head] }) => {
        if (head === undefined) return []
        const records = pending.recordsOf(head)
        const numbers = this.#identity.sequences.numbers(key, records)
        return [{ topic, partition, data: encodeRecordBatch(records, numbers, compression) }]
      })
      const options = {
        guard,
        transactionalId: this.#identity.transactionalId,
        timeoutMs: Math.max(1_000, settings.requestTimeoutMs - 2_000),
      }
      const answers = await link.send(produceRequest(batches, options))
      const byKey = byPartition(answers)
      for (const queue of queues) {
        const answer = byKey.get(queue.key)
        queue.trouble =
          answer === undefined ? `The answer did not name ${queue.key}.` : this.#answered(pending, queue, answer)
      }
    } catch (error) {
      if (!isPassing(error)) throw error
      fail(reasonOf(error))
    }
  }

  /** Why the batch must be sent again. */
  #answered(
    pending: PendingBatches,
    queue: PartitionQueue,
    { errorCode, baseOffset, badRecords, message }: ProducedBatch,
  ): string | undefined {
    const { sequences } = this.#identity
    const fatal = this.#identity.fatal(errorCode)
    if (fatal !== undefined) throw fatal
    if (errorCode === KafkaCode.ok || errorCode === KafkaCode.duplicateSequenceNumber) {
      sequences.stored(queue.key)
      pending.acknowledged(queue, baseOffset)
      return undefined
    }
    const answer = `Kafka answered ${kafkaErrorName(errorCode)} for ${queue.key}.`
    if (endsNumbers(errorCode)) {
      const lost = `${answer} The broker has lost records that it had acknowledged, or the producer's state; sends go on with numbers of their own.`
      this.#context.log.warn({ topic: queue.topic, partition: queue.partition }, lost)
      sequences.lost(queue.key)
      return answer
    }
    const isCorrupt = errorCode === KafkaCode.corruptMessage
    if (isRetriable(errorCode) && !isCorrupt) return answer
    sequences.refused(queue.key)
    if (isCorrupt && ++queue.corruptions < CORRUPTIONS_UNTIL_REFUSED) return answer
    const said = message === undefined ? '' : ` ${message}`
    const error = kafkaError(errorCode, `A record for ${queue.key} was refused.${said}`, 'RECORD_REFUSED', 'Write')
    if (badRecords.length > 0) pending.refuse(queue, error, badRecords)
    else if (!MAY_BE_ONE_RECORD.has(errorCode) || !pending.split(queue)) pending.refuse(queue, error)
    return undefined
  }
}

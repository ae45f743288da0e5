import {
  type CommitOffset,
  isMillraceError,
  MillraceError,
  type OutgoingRecord,
  partitionKey,
  type TopicPartition,
} from '@millrace/core'
import { checkOffset, type SendOptions, type SendOutcome, type TransactionalProducer } from '@millrace/core/driver'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { PassingError } from '../cluster/retrying.ts'
import { KafkaCode } from '../errors/kafka-errors.ts'
import {
  initProducerIdRequest,
  addOffsetsRequest,
  addPartitionsRequest,
  endTransactionRequest,
  txnOffsetCommitRequest,
  type TransactionalIdentity,
} from '../wire/requests/producers.ts'
import { BatchSequences, type BatchOwner } from './batch-sequences.ts'
import { KafkaProducer } from './kafka-producer.ts'
import type { SendIdentity } from './send-identity.ts'
import { byCode, isMissing, isRefused, TransactionRequests } from './transaction-requests.ts'

export interface TransactionalOptions {
  readonly id: string
  readonly timeoutMs: number
}

/**
 * Transactions under one id, with their own connections: Kafka answers a connection in order, so producers that shared
 * one would wait for one another's acknowledgements.
 */
export class KafkaTransactionalProducer implements TransactionalProducer {
  readonly #options: TransactionalOptions
  readonly #context: KafkaClientContext
  readonly #requests: TransactionRequests
  readonly #producer: KafkaProducer
  readonly #added = new Set<string>()
  #owner: TransactionalIdentity | undefined
  #state: 'new' | 'ready' | 'open' | 'failed' = 'new'
  /** The error with which the producer has failed. */
  #failure: unknown
  #groupsAdded = new Set<string>()
  #closed: Promise<void> | undefined

  constructor(options: TransactionalOptions, context: KafkaClientContext) {
    this.#options = options
    this.#context = context
    this.#producer = new KafkaProducer(context, this.#identity())
    this.#requests = new TransactionRequests(options.id, context, this.#producer)
  }

  async init(): Promise<void> {
    this.#requireOpen()
    if (this.#state !== 'new') throw this.#outOfOrder('init')
    const { id, timeoutMs } = this.#options
    const identity = await this.#guarded(() =>
      this.#requests.ask(
        'the transactional id could not be taken over',
        initProducerIdRequest(id, timeoutMs),
        (answer) => answer,
      ),
    )
    this.#owner = { transactionalId: id, producerId: identity.producerId, epoch: identity.epoch }
    this.#state = 'ready'
  }

  async begin(): Promise<void> {
    this.#requireInit()
    if (this.#state !== 'ready') throw this.#outOfOrder('begin')
    this.#state = 'open'
    this.#added.clear()
    this.#groupsAdded.clear()
  }

  partitions(topic: string): Promise<number> {
    return this.#producer.partitions(topic)
  }

  brokerOf(partition: TopicPartition): number {
    return this.#producer.brokerOf(partition)
  }

  async send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    this.#requireInit()
    if (this.#state !== 'open') throw this.#outOfOrder('send')
    const { guard, onDelayed } = options
    if (onDelayed === undefined) return this.#guarded(() => this.#producer.send(records, options))
    return this.#guarded(() =>
      this.#producer.send(records, {
        guard,
        onDelayed: (delayed) => {
          // The caller gets the rejection; here it only ends the producer.
          this.#guarded(() => delayed.outcomes).catch(() => {})
          onDelayed(delayed)
        },
      }),
    )
  }

  async sendOffsets(groupId: string, offsets: readonly CommitOffset[]): Promise<void> {
    const owner = this.#requireInit()
    if (this.#state !== 'open') throw this.#outOfOrder('sendOffsets')
    for (const offset of offsets) checkOffset(offset, offset.offset)
    if (offsets.length === 0) return
    await this.#guarded(async () => {
      if (!this.#groupsAdded.has(groupId)) {
        const request = addOffsetsRequest(owner, groupId)
        await this.#requests.ask(`group "${groupId}" could not be added to the transaction`, request, byCode, {
          right: 'Read',
        })
        this.#groupsAdded.add(groupId)
      }
      const request = txnOffsetCommitRequest(owner, groupId, offsets)
      await this.#requests.ask(
        'offsets could not be added to the transaction',
        request,
        (answer) => answer.find(isRefused),
        {
          coordinator: this.#requests.group(groupId),
          right: 'Read',
        },
      )
    })
  }

  commit(): Promise<void> {
    return this.#end('commit')
  }

  abort(): Promise<void> {
    return this.#end('abort')
  }

  close(): Promise<void> {
    this.#closed ??= this.#producer.close().finally(() => this.#context.onClosed(this))
    return this.#closed
  }

  async #end(end: 'commit' | 'abort'): Promise<void> {
    const owner = this.#requireInit()
    if (this.#state !== 'open') throw this.#outOfOrder(end)
    // The coordinator refuses to end a transaction that it does not know.
    if (this.#added.size > 0 || this.#groupsAdded.size > 0) {
      await this.#guarded(() =>
        this.#requests.ask(`the transaction could not be ended (${end})`, endTransactionRequest(owner, end), byCode),
      )
    }
    this.#state = 'ready'
  }

  #identity(): SendIdentity {
    const { id } = this.#options
    const current = (): BatchOwner => {
      const { producerId, epoch } = this.#requireInit()
      return { id: producerId, epoch, transactional: true }
    }
    // Only the coordinator gives a transaction its epoch.
    const following = (): never => {
      throw new MillraceError(
        'TRANSACTION_STATE',
        `Transactional id "${id}" cannot go on: a batch was refused that may be in the transaction already.`,
      )
    }
    return {
      transactionalId: id,
      sequences: new BatchSequences(current, following),
      prepare: (partitions) => this.#addPartitions(partitions),
      fatal: (code) => this.#requests.fatal(code),
    }
  }

  async #addPartitions(partitions: readonly TopicPartition[]): Promise<undefined> {
    const added = partitions.filter((partition) => !this.#added.has(partitionKey(partition)))
    if (added.length === 0) return
    const owner = this.#requireInit()
    const request = addPartitionsRequest(owner, added)
    const answer = await this.#requests.ask('partitions could not be added to the transaction', request, (answers) =>
      answers.find((one) => isRefused(one) && !isMissing(one) && one.errorCode !== KafkaCode.operationNotAttempted),
    )
    // The sender checks whether the topic still exists, and refuses its records if it does not.
    const missing = answer.find(isMissing)
    if (missing !== undefined)
      throw new PassingError(`Kafka answered UNKNOWN_TOPIC_OR_PARTITION for ${partitionKey(missing)}.`)
    for (const partition of added) this.#added.add(partitionKey(partition))
  }

  /** After any failure the producer is finished, because the state of the transaction on the broker is unknown. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#state = 'failed'
      this.#failure ??= error
      throw error
    }
  }

  #requireOpen(): void {
    if (this.#closed !== undefined) throw new MillraceError('CLOSED', `The producer "${this.#options.id}" is closed.`)
  }

  #requireInit(): TransactionalIdentity {
    this.#requireOpen()
    if (this.#owner === undefined)
      throw new MillraceError('CLOSED', `The producer "${this.#options.id}" is not open: init() comes first.`)
    return this.#owner
  }

  #outOfOrder(call: string): MillraceError {
    // A caller that continues without having seen the failure gets its reason, rather than an error about the state.
    if (isMillraceError(this.#failure, ...OF_THE_PRODUCER)) return this.#failure
    return new MillraceError(
      'TRANSACTION_STATE',
      `${call}() of producer "${this.#options.id}" was called in state "${this.#state}".`,
    )
  }
}

/** Failures of the producer itself, and not of a record: every later call fails with the same error. */
const OF_THE_PRODUCER = ['NOT_AUTHORIZED', 'PRODUCER_FENCED', 'TRANSACTION_STATE'] as const

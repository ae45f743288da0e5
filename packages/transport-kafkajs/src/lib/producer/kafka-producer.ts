import {
  MillraceError,
  type OutgoingRecord,
  type Producer,
  type SendOptions,
  type SendOutcome,
  type TopicPartition,
} from '@millrace/core'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { NO_PRODUCER } from '../wire/encode-record-batch.ts'
import { BatchSender, type SendingMode } from './batch-sender.ts'
import { partitionCount } from './partition-count.ts'

const PLAIN: SendingMode = {
  transactionalId: undefined,
  prepare: async () => {},
  producer: () => NO_PRODUCER,
  stored: () => {},
  fatal: () => undefined,
}

/**
 * Sends outside transactions, acknowledged by all in-sync replicas. Not idempotent: a request whose answer was lost is
 * sent again and may be stored twice, which at least once allows.
 */
export class KafkaProducer implements Producer {
  readonly #context: KafkaClientContext
  readonly #closing = new AbortController()
  readonly #links: BrokerLinks
  readonly #sender: BatchSender
  #closed: Promise<void> | undefined

  constructor(context: KafkaClientContext) {
    this.#context = context
    this.#links = context.openLinks()
    this.#sender = new BatchSender(PLAIN, context, { links: this.#links, signal: this.#closing.signal })
  }

  async partitions(topic: string): Promise<number> {
    this.#requireOpen()
    return partitionCount(this.#context, topic, this.#closing.signal)
  }

  lane(partition: TopicPartition): number {
    return this.#context.view.leader(partition)
  }

  async send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    this.#requireOpen()
    return this.#sender.send(records, options)
  }

  close(): Promise<void> {
    this.#closed ??= this.#sender.close(this.#closing).finally(() => this.#context.onClosed(this))
    return this.#closed
  }

  #requireOpen(): void {
    if (this.#closed !== undefined) throw new MillraceError('CLOSED', 'The producer is closed.')
  }
}

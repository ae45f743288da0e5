import type { OutgoingRecord } from '@millrace/core'
import type {
  Admin,
  BrokerState,
  Consumer,
  ConsumerOptions,
  DelayedPartition,
  Producer,
  Reader,
  ReaderOptions,
  SendOptions,
  SendOutcome,
  TransactionalProducer,
  Transport,
} from '@millrace/core/driver'

/**
 * A transport of one's own, over any other: counts what is sent, by topic. One that encrypts values or writes an audit log is made
 * the same way: what it adds is in `send`, everything else is passed on.
 */
export class CountedTransport implements Transport {
  readonly capabilities: Transport['capabilities']
  /** Acknowledged records, by topic. */
  readonly sent: Map<string, number> = new Map()
  readonly #inner: Transport

  constructor(inner: Transport) {
    this.#inner = inner
    this.capabilities = Object.freeze({ ...inner.capabilities, name: `counted ${inner.capabilities.name}` })
  }

  producer(): Producer {
    return this.#counted(this.#inner.producer())
  }

  transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    const inner = this.#inner.transactionalProducer(options)
    return {
      ...this.#counted(inner),
      init: () => inner.init(),
      begin: () => inner.begin(),
      sendOffsets: (groupId, offsets) => inner.sendOffsets(groupId, offsets),
      commit: () => inner.commit(),
      abort: () => inner.abort(),
    }
  }

  #counted(inner: Producer): Producer {
    return {
      partitions: (topic) => inner.partitions(topic),
      brokerOf: (partition) => inner.brokerOf(partition),
      send: (records, options) => this.#send(inner, records, options),
      close: () => inner.close(),
    }
  }

  async #send(
    inner: Producer,
    records: readonly OutgoingRecord[],
    options: SendOptions,
  ): Promise<readonly SendOutcome[]> {
    const { guard, onDelayed } = options
    const outcomes = await inner.send(records, {
      guard,
      ...(onDelayed === undefined ? {} : { onDelayed: (delayed) => onDelayed(this.#countLater(delayed)) }),
    })
    for (const [at, { topic }] of records.entries()) this.#count(topic, outcomes[at])
    return outcomes
  }

  /** Of records that a partition takes only later, whoever waits for them hears after they have been counted. */
  #countLater(delayed: DelayedPartition): DelayedPartition {
    const counted = delayed.outcomes.then((outcomes) => {
      for (const outcome of outcomes) this.#count(delayed.topic, outcome)
      return outcomes
    })
    return { ...delayed, outcomes: counted }
  }

  #count(topic: string, outcome: SendOutcome | undefined): void {
    if (outcome?.ok === true) this.sent.set(topic, (this.sent.get(topic) ?? 0) + 1)
  }

  connect(options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<void> {
    return this.#inner.connect(options)
  }

  consumer(options: ConsumerOptions): Consumer {
    return this.#inner.consumer(options)
  }

  reader(options: ReaderOptions): Reader {
    return this.#inner.reader(options)
  }

  admin(): Admin {
    return this.#inner.admin()
  }

  brokers(): readonly BrokerState[] {
    return this.#inner.brokers()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

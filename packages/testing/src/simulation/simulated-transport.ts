import type {
  Admin,
  BrokerState,
  Consumer,
  ConsumerOptions,
  GroupAssignor,
  Isolation,
  Producer,
  Reader,
  TransactionalProducer,
  Transport,
  TransportCapabilities,
} from '@millrace/core/driver'
import type { SeededRandom } from './seeded-random.ts'
import { SimulatedConsumer } from './simulated-consumer.ts'
import { SimulatedProducer } from './simulated-producer.ts'
import { SimulatedTransaction } from './simulated-transaction.ts'
import { heldItems, request, type SimulatedWire } from './simulated-wire.ts'

/** A transport whose every await the simulation holds in its hand. */
export class SimulatedTransport implements Transport {
  readonly capabilities: TransportCapabilities
  readonly #wire: SimulatedWire
  readonly #inner: Transport
  #consumer: SimulatedConsumer | undefined
  readonly #producers: SimulatedProducer[] = []

  constructor(wire: SimulatedWire, inner: Transport) {
    this.#wire = wire
    this.#inner = inner
    this.capabilities = Object.freeze({ ...inner.capabilities, name: 'simulated', sessions: true })
  }

  get assignor(): GroupAssignor | undefined {
    return this.#consumer?.assignor
  }

  /** Asks for a rebalance, if there is a member. */
  rejoin(): void {
    this.#consumer?.rejoin()
  }

  /** The process ends now, in the middle of its sends. */
  tear(random: SeededRandom): void {
    for (const producer of this.#producers) producer.tear(random)
  }

  connect(options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<void> {
    return request(this.#wire, 'connect', () => this.#inner.connect(options))
  }

  consumer(options: ConsumerOptions): Consumer {
    this.#consumer = new SimulatedConsumer(this.#wire, this.#inner, options)
    return this.#consumer
  }

  producer(): Producer {
    const producer = new SimulatedProducer(this.#wire, this.#inner.producer())
    this.#producers.push(producer)
    return producer
  }

  transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    return new SimulatedTransaction(this.#wire, this.#inner.transactionalProducer(options), options)
  }

  reader(options: { readonly isolation: Isolation }): Reader {
    const reader = this.#inner.reader(options)
    const wire = this.#wire
    return {
      assign: (partition, offset) => reader.assign(partition, offset),
      unassign: (partition) => reader.unassign(partition),
      batches: () => heldItems(wire, 'read', reader.batches()),
      offsets: (partitions) => request(wire, 'offsets', () => reader.offsets(partitions)),
      close: () => reader.close(),
    }
  }

  admin(): Admin {
    const admin = this.#inner.admin()
    const wire = this.#wire
    return {
      topics: (names) => request(wire, 'topics', () => admin.topics(names)),
      topicSettings: (names) => request(wire, 'topic settings', () => admin.topicSettings(names)),
      brokers: () => request(wire, 'brokers', () => admin.brokers()),
      createTopics: (specs) => request(wire, 'create topics', () => admin.createTopics(specs)),
      deleteTopics: (names) => request(wire, 'delete topics', () => admin.deleteTopics(names)),
      offsets: (partitions, isolation) => request(wire, 'offsets', () => admin.offsets(partitions, isolation)),
      offsetsAt: (partitions, timestampMs) => request(wire, 'offsets', () => admin.offsetsAt(partitions, timestampMs)),
      deleteRecords: (before, options) => request(wire, 'delete records', () => admin.deleteRecords(before, options)),
      committed: (groupId, partitions) => request(wire, 'committed', () => admin.committed(groupId, partitions)),
      commit: (groupId, offsets) => request(wire, 'commit', () => admin.commit(groupId, offsets)),
      members: (groupId) => request(wire, 'members', () => admin.members(groupId)),
      deleteGroup: (groupId) => request(wire, 'delete group', () => admin.deleteGroup(groupId)),
      close: () => admin.close(),
    }
  }

  brokers(): readonly BrokerState[] {
    return this.#inner.brokers()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

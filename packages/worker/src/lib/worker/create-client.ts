import { randomUUID } from 'node:crypto'
import { type Clock, type Logger, type RecordMetadata, type Redact, redactText } from '@millrace/core'
import type { Admin, Isolation, Producer, Reader, TopicSpec, Transport } from '@millrace/core/driver'
import type { SendRequest } from '../contracts/event.ts'
import { Delays } from '../sending/delays.ts'
import { mustFit, Outgoing } from '../sending/outgoing.ts'
import { type CollectorOwner, RecordCollector } from '../sending/record-collector.ts'
import { SendBudget } from '../sending/send-budget.ts'
import { OpenReaders } from './open-readers.ts'
import type { Client } from '../contracts/worker.ts'
import { provideTopics } from '../topics/provide-topics.ts'

/** How long a partition may accept no records before the log names it. */
const DELIVERY_TIMEOUT_MS = 120_000

export interface ClientOptions {
  readonly appId: string
  /** Unique per process and run. Default: a random one. */
  readonly clientId?: string
  /** Already connected. The client leaves it open. */
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Logger
  /** Default: `redactText`. */
  readonly redact?: Redact
  /** The bytes of unacknowledged sends beyond which `send` waits. Default 8 MB. */
  readonly maxPendingSendBytes?: number
  /** The largest record that `send` accepts. Default 1 MB. */
  readonly maxRecordBytes?: number
  /** Whether to create missing topics, rather than report them. Default true. */
  readonly createTopics?: boolean
}

/**
 * Sends and reads without joining a group: for commands, and for pages of processes without a worker.
 *
 * @example
 * const client = createClient({ appId: 'shop', transport, clock: systemClock(), log }) await client.send({ topic:
 * 'orders', key: null, value, headers: NO_HEADERS, timestamp: Date.now(), partition: undefined }) await client.close()
 */
export function createClient(options: ClientOptions): Client {
  return new TransportClient(options)
}

class TransportClient implements Client, CollectorOwner {
  readonly id: string
  readonly appId: string
  readonly clock: Clock
  readonly log: Logger
  readonly redact: Redact
  readonly #maxRecordBytes: number
  readonly #createTopics: boolean
  readonly #budget: SendBudget
  readonly #delays: Delays
  readonly #producer: Producer
  readonly #admin: Admin
  readonly #collector: RecordCollector
  readonly #readers: OpenReaders

  constructor({
    appId,
    clientId = randomUUID(),
    transport,
    clock,
    log,
    redact = redactText,
    maxPendingSendBytes = 8 * 1024 * 1024,
    maxRecordBytes = 1024 * 1024,
    createTopics = true,
  }: ClientOptions) {
    this.id = clientId
    this.appId = appId
    this.clock = clock
    this.log = log
    this.redact = redact
    this.#readers = new OpenReaders(transport)
    this.#maxRecordBytes = maxRecordBytes
    this.#createTopics = createTopics
    this.#budget = new SendBudget(maxPendingSendBytes, undefined)
    this.#delays = new Delays({ clock, log, deliveryTimeoutMs: DELIVERY_TIMEOUT_MS })
    this.#producer = transport.producer()
    this.#admin = transport.admin()
    const sending = {
      clock,
      sensor: { sendCompleted: () => {} },
      // These sends need no ownership.
      lease: { check: () => {}, whenBack: () => {} },
      budget: this.#budget,
      delays: this.#delays,
      transactions: { aborted: 0 },
    }
    this.#collector = new RecordCollector(this.#producer, sending, this)
  }

  /** Nothing to do: the sender gets the error. */
  refused(): void {}

  broken(error: Error): void {
    this.log.error({ error: error.message }, 'Sends have failed.')
  }

  async send(request: SendRequest): Promise<RecordMetadata> {
    const record = new Outgoing(request, undefined)
    mustFit(record, this.#maxRecordBytes)
    await this.#budget.room()
    this.#collector.add(record)
    return record.metadata()
  }

  partitions(topic: string): Promise<number> {
    return this.#collector.partitions(topic)
  }

  createTopics(specs: readonly TopicSpec[]): Promise<void> {
    return provideTopics(this.#admin, specs, this.#createTopics)
  }

  reader(isolation: Isolation): Reader {
    return this.#readers.open(isolation)
  }

  async close(): Promise<void> {
    await this.#producer.close()
    this.#collector.close()
    this.#delays.close()
    await this.#readers.close()
    await this.#admin.close()
  }
}

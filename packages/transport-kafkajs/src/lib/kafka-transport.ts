import {
  backoffMs,
  isMillraceError,
  MillraceError,
  raceAbort,
  type ResolvedSettings,
  toError,
  withinLimit,
} from '@millrace/core'
import type {
  Admin,
  BrokerState,
  Consumer,
  ConsumerOptions,
  Producer,
  Reader,
  ReaderOptions,
  TransactionalProducer,
  Transport,
  TransportCapabilities,
  TransportDeps,
} from '@millrace/core/driver'
import { KafkaAdmin } from './admin/kafka-admin.ts'
import { BrokerHealth } from './kafkajs/broker-health.ts'
import { BrokerLinks } from './cluster/broker-links.ts'
import { ClusterView, parseAddress } from './cluster/cluster-view.ts'
import type { KafkaClient, KafkaClientContext } from './cluster/client-context.ts'
import { Reconnects, RETRY_BACKOFF } from './cluster/reconnects.ts'
import { requireCodec, type CompressionCodecs } from './compression/compression.ts'
import { installedCodecs } from './compression/installed-codecs.ts'
import { KafkaConsumer } from './consumer/kafka-consumer.ts'
import { KafkaReader } from './fetch/kafka-reader.ts'
import {
  kafkaOptions,
  type KafkaSettings,
  kafkaSettings,
  type KafkaTransportOptions,
} from './kafka-transport-options.ts'
import { KafkaProducer } from './producer/kafka-producer.ts'
import { KafkaTransactionalProducer } from './producer/kafka-transactional-producer.ts'

const CLOSE_LIMIT_MS = 5_000

const CAPABILITIES: TransportCapabilities = Object.freeze({
  name: 'kafka',
  durable: true,
  shared: true,
  uncommittedVisible: true,
  sessions: true,
})

/**
 * Millrace on Apache Kafka (2.8 and later, made for 4.x).
 *
 * @throws MillraceError `BROKER_URL_INVALID` when an address is not `host:port`.
 * @example
 * const transport = createKafkaTransport({ brokers: ['localhost:9092'], clientId: 'word-count' }, { clock: systemClock(), log })
 * await transport.connect({ timeoutMs: 10_000 })
 * const reader = transport.reader({ isolation: 'read-committed' })
 */
export function createKafkaTransport(options: KafkaTransportOptions, deps: TransportDeps): Transport {
  return new KafkaTransport(kafkaSettings(options), deps)
}

/**
 * The transport that an app's settings describe. Warns if anybody on the network path could read the password, or
 * impersonate the broker.
 */
export function transportOfSettings(
  settings: ResolvedSettings,
  brokers: readonly string[],
  deps: TransportDeps,
): Transport {
  const { ssl, sasl } = settings.kafka
  if (sasl.mechanism === 'plain' && !ssl.enabled)
    deps.log.warn(
      {},
      'The password for Kafka travels in plain text: set kafka.ssl, or a scram mechanism (kafka.sasl.mechanism).',
    )
  if (ssl.enabled && !ssl.rejectUnauthorized)
    deps.log.warn(
      {},
      "The broker's certificate is not verified (kafka.ssl.rejectUnauthorized is false): set kafka.ssl.ca instead.",
    )
  return createKafkaTransport(kafkaOptions(settings, brokers), deps)
}

/** Made by `createKafkaTransport`. */
export class KafkaTransport implements Transport {
  readonly capabilities: TransportCapabilities = CAPABILITIES
  readonly #settings: KafkaSettings
  readonly #deps: TransportDeps
  readonly #health: BrokerHealth
  readonly #control: BrokerLinks
  readonly #context: KafkaClientContext
  readonly #clients = new Set<KafkaClient>()
  #codecs: CompressionCodecs = {}
  #connected = false
  #closed: Promise<void> | undefined

  constructor(settings: KafkaSettings, deps: TransportDeps) {
    const seeds = settings.brokers.map(parseAddress)
    if (seeds.length === 0) throw new MillraceError('BROKER_URL_INVALID', 'No broker is named.')
    this.#settings = settings
    this.#deps = deps
    this.#health = new BrokerHealth(deps)
    const linkDeps = { ...deps, health: this.#health }
    this.#control = new BrokerLinks(settings, linkDeps)
    const view = new ClusterView(this.#control, seeds, deps.clock)
    this.#context = {
      settings,
      clock: deps.clock,
      log: deps.log,
      view,
      reconnects: new Reconnects(view, linkDeps),
      control: this.#control,
      openLinks: () => new BrokerLinks(settings, linkDeps),
      codecs: () => this.#codecs,
      onClosed: (client) => void this.#clients.delete(client),
    }
  }

  async connect({ timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<void> {
    this.#requireOpen()
    const { clock, log } = this.#deps
    const { compression, brokers } = this.#settings
    this.#codecs = await installedCodecs(log)
    if (compression !== 'none') requireCodec(compression, this.#codecs)
    const limit = new AbortController()
    const ending = signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal])
    let reason = ''
    const timer = clock.schedule(timeoutMs, () => {
      const said = reason === '' ? '' : ` ${reason}`
      limit.abort(
        new MillraceError(
          'BROKER_UNREACHABLE',
          `No broker of kafka://${brokers.join(',')} answered within ${timeoutMs} ms.${said}`,
        ),
      )
    })
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          await raceAbort(this.#context.view.refresh(), ending)
          this.#connected = true
          return
        } catch (error) {
          ending.throwIfAborted()
          this.#requireOpen()
          if (!isMillraceError(error, 'BROKER_UNREACHABLE')) throw error
          reason = error.detail
          const waitMs = Math.round(backoffMs(attempt, RETRY_BACKOFF, Math.random()))
          this.#health.trying('connecting for the first time', reason)
          await clock.sleep(waitMs, ending)
        }
      }
    } finally {
      timer.cancel()
    }
  }

  consumer(options: ConsumerOptions): Consumer {
    return this.#opened(new KafkaConsumer(options, this.#usable()))
  }

  producer(): Producer {
    return this.#opened(new KafkaProducer(this.#usable()))
  }

  transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    return this.#opened(new KafkaTransactionalProducer(options, this.#usable()))
  }

  reader(options: ReaderOptions): Reader {
    return this.#opened(new KafkaReader(options, this.#usable()))
  }

  admin(): Admin {
    return this.#opened(new KafkaAdmin(this.#usable()))
  }

  brokers(): readonly BrokerState[] {
    return this.#health.states
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Ends as `kill -9` would, without leaving groups or waiting for anything. For tests of what others then see. */
  kill(): void {
    for (const client of this.#clients) if (client instanceof KafkaConsumer) client.abandon()
    this.#control.close()
    for (const client of this.#clients) void client.close()
    void this.close()
  }

  async #close(): Promise<void> {
    const { clock, log } = this.#deps
    const closing = Promise.allSettled([...this.#clients].map((client) => client.close())).then((ends) => {
      for (const end of ends)
        if (end.status === 'rejected')
          log.warn({ error: toError(end.reason).message }, 'A client of the Kafka transport did not close well.')
    })
    await withinLimit(clock, CLOSE_LIMIT_MS, closing)
    this.#context.reconnects.stop()
    this.#control.close()
  }

  #opened<T extends KafkaClient>(client: T): T {
    this.#clients.add(client)
    return client
  }

  #usable(): KafkaClientContext {
    this.#requireOpen()
    if (!this.#connected) throw new MillraceError('CLOSED', 'The Kafka transport is not connected.')
    return this.#context
  }

  #requireOpen(): void {
    if (this.#closed !== undefined) throw new MillraceError('CLOSED', 'The Kafka transport is closed.')
  }
}

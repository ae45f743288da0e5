import { dirname, resolve } from 'node:path'
import {
  type Clock,
  type Logger,
  type OtherStore,
  parseBrokerUrl,
  parseStoreUrl,
  type ResolvedSettings,
  type RunningPlace,
  type Sensor,
  type StoreDriver,
  type Transport,
  type WebDriver,
} from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'

/** Where an app runs. The command line and the test kit put theirs here before anything starts. */
export interface Surroundings {
  settings: ResolvedSettings
  clock: Clock
  log: Logger
  sensor: Sensor
  /** Directory of the app's package. */
  home: string
  /** Freeze what tables give out: in development and tests. */
  freeze: boolean
  /** Opens the connections that are no worker's, instead of the broker that the settings name. */
  openTransport: (() => Transport) | undefined
}

/** The drivers that the settings name, each loaded when it is needed. */
export class Drivers {
  readonly #surroundings: Surroundings
  /** Shared by all transports of the app on `memory:`. */
  #memoryLog: MemoryLog | undefined

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
  }

  async transport(): Promise<Transport> {
    const { settings, clock, log } = this.#surroundings
    if (typeof settings.broker === 'function') return settings.broker({ clock, log })
    const url = parseBrokerUrl(settings.broker)
    if (url.scheme === 'kafka') {
      const { createKafkaTransport, kafkaOptions } = await import('@millrace/transport-kafkajs')
      this.#warnOfOpenConnections()
      return createKafkaTransport(kafkaOptions(settings, url.brokers), { clock, log })
    }
    const embedded = await import('@millrace/transport-embedded')
    if (url.scheme === 'memory')
      return embedded.createMemoryTransport((this.#memoryLog ??= embedded.createMemoryLog()), { clock, log })
    return embedded.createEmbeddedTransport({ directory: this.#directory(url.directory) }, { clock, log })
  }

  /** What anybody on the network between here and the broker can read, or pretend to be. */
  #warnOfOpenConnections(): void {
    const { settings, log } = this.#surroundings
    const { ssl, sasl } = settings.kafka
    if (sasl.mechanism === 'plain' && !ssl.enabled)
      log.warn(
        {},
        'The password for Kafka travels in plain text: set kafka.ssl, or a scram mechanism (kafka.sasl.mechanism).',
      )
    if (ssl.enabled && !ssl.rejectUnauthorized)
      log.warn(
        {},
        "Any certificate is taken for the broker's (kafka.ssl.rejectUnauthorized is false): set kafka.ssl.ca instead.",
      )
  }

  async store(): Promise<StoreDriver> {
    const { store } = this.#surroundings.settings
    if (typeof store === 'function') return store()
    const { store: directory } = this.directories()
    if (directory === undefined) return (await import('@millrace/state')).memoryStore()
    return (await import('@millrace/store-lmdb')).createLmdbStore({ directory })
  }

  /** The server under the site. */
  async web(): Promise<WebDriver> {
    const { driver } = this.#surroundings.settings.web
    return typeof driver === 'string' ? (await import('@millrace/web-hono')).honoDriver() : driver()
  }

  /** Where the app keeps files: its data directory, the local log, the local store. */
  directories(): { readonly data: string; readonly log: string | undefined; readonly store: string | undefined } {
    const { broker, store } = this.#surroundings.settings
    const brokerUrl = typeof broker === 'string' ? parseBrokerUrl(broker) : undefined
    const storeUrl = typeof store === 'string' ? parseStoreUrl(store) : undefined
    return {
      data: this.#directory(undefined),
      log: brokerUrl?.scheme === 'embedded' ? this.#directory(brokerUrl.directory) : undefined,
      store: storeUrl?.scheme === 'lmdb' ? resolve(this.#directory(storeUrl.directory), 'tables') : undefined,
    }
  }

  /** What of this machine a worker would use. */
  place(): RunningPlace {
    const { enabled, host, port } = this.#surroundings.settings.web
    const { data, log, store } = this.directories()
    return { web: { enabled, host, port }, dataDirectory: data, logDirectory: log, storeDirectory: store }
  }

  /** Stores of other versions, where this app keeps or would keep its own. */
  async otherStores(): Promise<readonly OtherStore[]> {
    const { data, log, store } = this.directories()
    const { findOtherFormats } = await import('@millrace/store-lmdb')
    const places = new Set([data, log, store === undefined ? undefined : dirname(store)])
    const found = [...places].flatMap((place) => (place === undefined ? [] : findOtherFormats(place)))
    return [...new Map(found.map((each) => [each.directory, each])).values()]
  }

  /** Deletes one of them. */
  async removeOtherStore({ directory }: OtherStore): Promise<void> {
    const { removeOtherFormat } = await import('@millrace/store-lmdb')
    await removeOtherFormat(directory)
  }

  #directory(given: string | undefined): string {
    const { settings, home } = this.#surroundings
    return resolve(given ?? settings.dataDirectory ?? resolve(home, '.millrace'))
  }
}

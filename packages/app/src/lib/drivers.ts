import { dirname } from 'node:path'
import {
  type Clock,
  type Logger,
  type OtherStore,
  parseBrokerUrl,
  type Redact,
  RedactingLogger,
  redactor,
  type ResolvedSettings,
  runningPlace,
  secretsOf,
  type RunningPlace,
  type Sensor,
  type StoreDriver,
  type Transport,
  type WebDriver,
} from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { LocalFiles } from '@millrace/worker'

/** Where an app runs. The command line and the test kit put theirs here before anything starts. */
export interface Surroundings {
  settings: ResolvedSettings
  clock: Clock
  /** What is set is given texts without secrets. */
  log: Logger
  /** With the secrets of the settings as they are now. */
  redact: Redact
  sensor: Sensor
  /** Directory of the app's package. */
  home: string
  /** Freeze what tables give out: in development and tests. */
  freeze: boolean
  /** Opens the connections that are no worker's, instead of the broker that the settings name. */
  openTransport: (() => Transport) | undefined
}

/** Surroundings whose logger is given no secrets, whoever sets it. */
export function surroundingsOf(given: Omit<Surroundings, 'redact'>): Surroundings {
  let known: { readonly settings: ResolvedSettings; readonly redact: Redact } | undefined
  const redact: Redact = (text) => {
    const { settings } = surroundings
    if (known?.settings !== settings) known = { settings, redact: redactor(secretsOf(settings)) }
    return known.redact(text)
  }
  const guarded = (log: Logger): Logger => (log instanceof RedactingLogger ? log : new RedactingLogger(log, redact))
  let logger = guarded(given.log)
  const surroundings: Surroundings = {
    ...given,
    redact,
    get log() {
      return logger
    },
    set log(log) {
      logger = guarded(log)
    },
  }
  return surroundings
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
      const { transportOfSettings } = await import('@millrace/transport-kafkajs')
      return transportOfSettings(settings, url.brokers, { clock, log })
    }
    const embedded = await import('@millrace/transport-embedded')
    const { logDirectory: directory } = this.place()
    return directory === undefined
      ? embedded.createMemoryTransport((this.#memoryLog ??= embedded.createMemoryLog()), { clock, log })
      : embedded.createEmbeddedTransport({ directory }, { clock, log })
  }

  async store(): Promise<StoreDriver> {
    const { store } = this.#surroundings.settings
    if (typeof store === 'function') return store()
    const { storeDirectory: directory } = this.place()
    if (directory === undefined) return (await import('@millrace/state')).memoryStore()
    return (await import('@millrace/store-lmdb')).createLmdbStore({ directory })
  }

  /** The server under the site. */
  async web(): Promise<WebDriver> {
    const { driver } = this.#surroundings.settings.web
    return typeof driver === 'string' ? (await import('@millrace/web-hono')).honoDriver() : driver()
  }

  /** What of this machine a worker would use. */
  place(): RunningPlace {
    return runningPlace(this.#surroundings.settings, this.#surroundings.home)
  }

  /** What knows the files of the embedded log and of the store. */
  async files(): Promise<LocalFiles> {
    const { copyLog, exportLog, importLog } = await import('@millrace/transport-embedded')
    const { backupStore, hasStore } = await import('@millrace/store-lmdb')
    return { backupStore, copyLog, exportLog, hasStore, importLog }
  }

  /** Stores of other versions, where this app keeps or would keep its own. */
  async otherStores(): Promise<readonly OtherStore[]> {
    const { dataDirectory, logDirectory, storeDirectory } = this.place()
    const { findOtherFormats } = await import('@millrace/store-lmdb')
    const above = storeDirectory === undefined ? [] : [dirname(storeDirectory)]
    const found = [dataDirectory, ...(logDirectory === undefined ? [] : [logDirectory]), ...above].flatMap(
      findOtherFormats,
    )
    return [...new Map(found.map((each) => [each.directory, each])).values()]
  }

  /** Deletes one of them. */
  async removeOtherStore({ directory }: OtherStore): Promise<void> {
    const { removeOtherFormat } = await import('@millrace/store-lmdb')
    await removeOtherFormat(directory)
  }
}

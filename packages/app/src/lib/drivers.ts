import { parseBrokerUrl, runningEnvironment, type Surroundings } from '@millrace/core'
import type { StoreDriver, Transport } from '@millrace/core/driver'
import type { WebDriver } from '@millrace/core/http'
import type { RunningEnvironment } from '@millrace/core/operations'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { LocalFiles } from '@millrace/client'

/** The drivers that the settings name, each loaded on first use. */
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

  /** An empty stand-in for a local log that does not exist yet, so that readers do not create one. */
  async emptyLog(): Promise<Transport | undefined> {
    const { logDirectory } = this.place()
    if (logDirectory === undefined) return undefined
    const { createMemoryLog, createMemoryTransport, hasLog } = await import('@millrace/transport-embedded')
    return hasLog(logDirectory) ? undefined : createMemoryTransport(createMemoryLog(), this.#surroundings)
  }

  async store(): Promise<StoreDriver> {
    const { store } = this.#surroundings.settings
    if (typeof store === 'function') return store()
    const { storeDirectory: directory } = this.place()
    if (directory === undefined) return (await import('@millrace/state')).memoryStore()
    return (await import('@millrace/store-lmdb')).createLmdbStore({ directory })
  }

  /** The server of the site. */
  async web(): Promise<WebDriver> {
    const { driver } = this.#surroundings.settings.web
    return typeof driver === 'string' ? (await import('@millrace/web-hono')).honoDriver() : driver()
  }

  /** What a worker would use of this machine. */
  place(): RunningEnvironment {
    const { settings, home, siblings } = this.#surroundings
    return runningEnvironment(settings, home, siblings?.index)
  }

  /** Knows the files of the embedded log and of the store. */
  async files(): Promise<LocalFiles> {
    const { copyLog, exportLog, importLog } = await import('@millrace/transport-embedded')
    const { backupStore, findOtherFormats, hasStore, removeOtherFormat } = await import('@millrace/store-lmdb')
    return { backupStore, copyLog, exportLog, findOtherFormats, hasStore, importLog, removeOtherFormat }
  }
}

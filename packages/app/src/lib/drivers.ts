import { resolve } from 'node:path'
import {
  parseBrokerUrl,
  parseStoreUrl,
  type BrokerUrl,
  type ResolvedSettings,
  type StoreDriver,
  type StoreUrl,
  type Transport,
  type TransportDeps,
  type WebDriver,
} from '@millrace/core'
import { kafkaOptions } from './kafka-options.ts'
import type { MemoryLog } from '@millrace/transport-embedded'

/** What drivers are chosen by. */
export interface DriverChoice {
  readonly settings: ResolvedSettings
  /** Where relative directories and `embedded:` alone belong: the directory of the app's package. */
  readonly home: string
  /** Shared by all transports that the app makes on `memory:`. */
  readonly memoryLog: () => Promise<MemoryLog>
}

type OpenTransport<U extends BrokerUrl> = (url: U, choice: DriverChoice, deps: TransportDeps) => Promise<Transport>
type OpenStore<U extends StoreUrl> = (url: U, choice: DriverChoice) => Promise<StoreDriver>

const transports: { readonly [S in BrokerUrl['scheme']]: OpenTransport<Extract<BrokerUrl, { scheme: S }>> } =
  Object.freeze({
    kafka: async (url, { settings }, deps) => {
      const { createKafkaTransport } = await import('@millrace/transport-kafkajs')
      return createKafkaTransport(kafkaOptions(settings, url.brokers), deps)
    },
    embedded: async (url, choice, deps) => {
      const { createEmbeddedTransport } = await import('@millrace/transport-embedded')
      return createEmbeddedTransport({ directory: directoryOf(url.directory, choice) }, deps)
    },
    memory: async (_url, { memoryLog }, deps) => {
      const { createMemoryTransport } = await import('@millrace/transport-embedded')
      return createMemoryTransport(await memoryLog(), deps)
    },
  })

const stores: { readonly [S in StoreUrl['scheme']]: OpenStore<Extract<StoreUrl, { scheme: S }>> } = Object.freeze({
  memory: async () => {
    const { memoryStore } = await import('@millrace/tables')
    return memoryStore()
  },
  lmdb: async (url, choice) => {
    const { createLmdbStore } = await import('@millrace/store-lmdb')
    return createLmdbStore({ directory: storeDirectoryOf(url.directory, choice) })
  },
})

/** The transport that the `broker` setting names. */
export async function openTransport(choice: DriverChoice, deps: TransportDeps): Promise<Transport> {
  const { broker } = choice.settings
  if (typeof broker === 'function') return broker(deps)
  const url = parseBrokerUrl(broker)
  switch (url.scheme) {
    case 'kafka':
      return transports.kafka(url, choice, deps)
    case 'embedded':
      return transports.embedded(url, choice, deps)
    case 'memory':
      return transports.memory(url, choice, deps)
  }
}

/** The server under the site, that the setting `web.driver` names. */
export async function openWebDriver({ web }: ResolvedSettings): Promise<WebDriver> {
  if (typeof web.driver !== 'string') return web.driver()
  const { honoDriver } = await import('@millrace/web-hono')
  return honoDriver()
}

/** The store that the `store` setting names. */
export async function openStore(choice: DriverChoice): Promise<StoreDriver> {
  const { store } = choice.settings
  if (typeof store === 'function') return store()
  const url = parseStoreUrl(store)
  return url.scheme === 'lmdb' ? stores.lmdb(url, choice) : stores.memory(url, choice)
}

/** Where the local log and the local store are; `undefined` where the settings name none. */
export function directoriesOf(choice: DriverChoice): {
  /** Where directories of the app belong. */
  readonly data: string
  readonly log: string | undefined
  readonly store: string | undefined
} {
  const { broker, store } = choice.settings
  const brokerUrl = typeof broker === 'string' ? parseBrokerUrl(broker) : undefined
  const storeUrl = typeof store === 'string' ? parseStoreUrl(store) : undefined
  return {
    data: directoryOf(undefined, choice),
    log: brokerUrl?.scheme === 'embedded' ? directoryOf(brokerUrl.directory, choice) : undefined,
    store: storeUrl?.scheme === 'lmdb' ? storeDirectoryOf(storeUrl.directory, choice) : undefined,
  }
}

function storeDirectoryOf(given: string | undefined, choice: DriverChoice): string {
  return resolve(directoryOf(given, choice), 'tables')
}

function directoryOf(given: string | undefined, { settings, home }: DriverChoice): string {
  if (given !== undefined) return resolve(given)
  return settings.dataDirectory === undefined ? resolve(home, '.millrace') : resolve(settings.dataDirectory)
}

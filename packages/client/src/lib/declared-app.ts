import type { Clock, Codec, Logger, Redact, ResolvedSettings } from '@millrace/core'
import type { Admin, StoreDriver, Transport } from '@millrace/core/driver'
import type { DeadLetters, RunningEnvironment } from '@millrace/core/operations'
import type {
  Client,
  ContextStorage,
  RoutedTable,
  StateDefinition,
  TopicDeclaration,
  WorkerPart,
} from '@millrace/worker'

/** What an app declares, as far as its client works with it. The descriptors of `streams` and `tables` fit as they are. */
export interface DeclaredApp {
  /** Every topic that the app file names, then those that agents own or read. */
  topics(): readonly DeclaredTopic[]
  agents(): readonly DeclaredAgent[]
  tables(): readonly DeclaredTable[]
  /** Topics that its agents and jobs need besides, and whether one of the jobs is the leader's. */
  needs(appId: string): { readonly topics: readonly TopicDeclaration[]; readonly leads: boolean }
}

export interface DeclaredTopic {
  readonly name: string
  readonly key: Codec<never, unknown>
  readonly value: Codec<never, unknown>
  readonly keyExpected: boolean
  readonly declaration: TopicDeclaration
}

export interface DeclaredAgent {
  readonly name: string
  /** Names of the topics that it is declared to read; empty for agents of channels. */
  readonly topics: readonly string[]
  /** Topics that it is declared to send to. */
  readonly sinks: readonly string[]
  /** Where what is sent to it goes; `undefined` when that is a channel. */
  readonly inbox: DeclaredTopic | undefined
  /** The inbox was made for it: the app file names no such topic. */
  readonly ownsInbox: boolean
  /** Default: what the settings say. */
  readonly concurrency: number | undefined
  readonly help: string
}

export type DeclaredTable =
  | { readonly kind: 'table' | 'set' | 'windowed'; readonly table: TaskTable }
  | {
      readonly kind: 'global'
      readonly table: ReadableTable & { readonly source: TopicDeclaration }
      /** Reads the table's topic to its end when it is started. */
      readonly replica: () => WorkerPart
    }

/** A table whose rows are spread over tasks. */
export interface TaskTable extends ReadableTable, StateDefinition, RoutedTable {
  readonly name: string
}

export interface ReadableTable {
  readonly name: string
  readonly help: string | undefined
  /** Codec names. */
  readonly keyCodec: string
  readonly valueCodec: string
  /** What is under a key typed as text. Throws `KEY_INVALID`. */
  lookup(text: string): unknown
  entries(): AsyncIterable<readonly [key: unknown, value: unknown]>
}

/** The app that a client is of. Everything is looked up when it is used: the command line and the test kit change it. */
export interface ClientApp {
  readonly declared: DeclaredApp
  readonly surroundings: {
    readonly settings: ResolvedSettings
    readonly clock: Clock
    readonly log: Logger
    readonly redact: Redact
  }
  readonly contexts: ContextStorage
  readonly deadLetters: DeadLetters
  /** Not connected yet. */
  openTransport(): Promise<Transport>
  /** An empty log in place of one that is not there yet, for what only reads; `undefined` where there is one. Not connected yet. */
  emptyLog(): Promise<Transport | undefined>
  readonly drivers: {
    place(): RunningEnvironment
    /** The local store, open: nobody else has it until it is closed. */
    store(): Promise<StoreDriver>
  }
  /** An empty store, for copies. */
  memoryStore(): StoreDriver
  /** Called before an open connection is closed. */
  closing(client: Client): Promise<void>
}

/** What a client has while it is connected. */
export interface Connection {
  readonly app: ClientApp
  readonly client: Client
  readonly transport: Transport
  readonly admin: Admin
}

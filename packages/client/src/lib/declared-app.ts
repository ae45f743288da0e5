import type { Clock, Codec, Logger, Redact, ResolvedSettings, TopicCodecs } from '@millrace/core'
import type { Admin, StoreDriver, Transport } from '@millrace/core/driver'
import type { DeadLetters, Retries, RowsRequest, RunningEnvironment, WindowsRequest } from '@millrace/core/operations'
import type {
  Client,
  ContextStorage,
  RoutedTable,
  StateDefinition,
  TopicDeclaration,
  WorkerPart,
} from '@millrace/worker'

/**
 * An app's declarations, as far as its client needs them. The descriptors of `streams` and `tables` fit as they are.
 */
export interface DeclaredApp {
  /** Every topic that the app file names, followed by those that agents own or read. */
  topics(): readonly DeclaredTopic[]
  agents(): readonly DeclaredAgent[]
  tables(): readonly DeclaredTable[]
  /** Further topics that its agents and jobs need, and whether any job runs on the leader only. */
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
  /** Names of the topics that it is declared to read; empty for agents that read channels. */
  readonly topics: readonly string[]
  /** Topics that it is declared to send to. */
  readonly sinks: readonly string[]
  /** The topic for events sent to the agent; `undefined` if it reads a channel. */
  readonly inbox: DeclaredTopic | undefined
  /** The inbox was created for the agent: the app file names no such topic. */
  readonly ownsInbox: boolean
  /** Default: as the settings say. */
  readonly concurrency: number | undefined
  /** The waits of its events outside of their partitions. */
  readonly retryDelaysMs?: readonly number[] | undefined
  readonly help: string
}

export type DeclaredTable =
  | { readonly kind: 'table' | 'set' | 'windowed' | 'timers'; readonly table: TaskTable }
  | {
      readonly kind: 'global'
      readonly table: ReadableTable & { readonly source: TopicDeclaration }
      /** Reads the table's topic to its end on start. */
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
  /** The value of a key typed as text. Throws `KEY_INVALID`. */
  lookup(text: string, windows?: WindowsRequest): unknown
  /** Whether a key typed as text has a value, a default left aside. Left out by tables that have no defaults. */
  holds?(text: string): boolean
  /** Rows by keys of text; left out by tables without ranges. Throws `RANGE_UNORDERED`. */
  textRange?(range: RowsRequest): AsyncIterable<readonly [key: unknown, value: unknown]>
  entries(): AsyncIterable<readonly [key: unknown, value: unknown]>
}

/**
 * The app that a client belongs to. Everything is looked up on use, because the command line and the test kit change
 * it.
 */
export interface ClientApp {
  readonly declared: DeclaredApp
  readonly surroundings: {
    readonly settings: ResolvedSettings
    readonly clock: Clock
    readonly log: Logger
    readonly redact: Redact
  }
  readonly contexts: ContextStorage
  /** Codecs that need something from outside the process. */
  readonly codecs: TopicCodecs
  readonly deadLetters: DeadLetters
  readonly retries: Retries
  /** Not connected yet. */
  openTransport(): Promise<Transport>
  /** An empty stand-in for readers when no log exists yet; `undefined` if there is a log. Not connected yet. */
  emptyLog(): Promise<Transport | undefined>
  readonly drivers: {
    place(): RunningEnvironment
    /** The local store, opened: no other process has it until it is closed. */
    store(): Promise<StoreDriver>
  }
  /** An empty store, for temporary copies. */
  memoryStore(): StoreDriver
  /** Called before an open connection is closed. */
  closing(client: Client): Promise<void>
}

/** The resources of a connected client. */
export interface Connection {
  readonly app: ClientApp
  readonly client: Client
  readonly transport: Transport
  readonly admin: Admin
}

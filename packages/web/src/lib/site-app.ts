import type { Clock, Logger, RecordMetadata, Redact, ResolvedSettings, Sensor, TimeStats } from '@millrace/core'
import type {
  AppDescription,
  DeadLetters,
  JobView,
  RecordsRequest,
  RunOutcome,
  ShownRecord,
  SiblingProcesses,
} from '@millrace/core/operations'
import type {
  AgentHistograms,
  AssignmentView,
  ContextStorage,
  RoutedTable,
  StateCopy,
  StateDefinition,
  TableStats,
  Worker,
  WorkerContext,
  WorkerStats,
} from '@millrace/worker'

/** Times in milliseconds since the epoch: the window that holds `at`, or the windows that overlap a range. */
export interface AskedWindows {
  readonly at?: number | undefined
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** What of a key to look up. */
export interface LookupOptions extends AskedWindows {
  /** As of the last commit, rather than of the last finished event. */
  readonly committed?: boolean | undefined
}

/** A change of a watched range; `TableChange` of `@millrace/tables` is one. */
export type RangeChange =
  | { readonly type: 'state'; readonly at: string }
  | { readonly type: 'value'; readonly key: string; readonly value: unknown }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'ready'; readonly at: string }

/** Rows whose keys are text. */
export interface TextRange {
  readonly prefix?: string | undefined
  /** The first key, included. */
  readonly from?: string | undefined
  /** The end, excluded. */
  readonly to?: string | undefined
  /** The last key of the page before. */
  readonly after?: string | undefined
  readonly reverse?: boolean | undefined
  readonly limit: number
  /** As of the last commits. */
  readonly committed?: boolean | undefined
}

/** A page of all rows, in byte order of their keys. */
export interface RowPage {
  /** The key of the last row of the page before; `undefined` for the first page. */
  readonly after: Buffer | undefined
  readonly limit: number
  /** As of the last commits. */
  readonly committed: boolean
}

/** What a site asks of a table, whatever the table's types. */
export interface SiteTable {
  readonly name: string
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  stats(): TableStats
  /**
   * The value of a key typed as text; `undefined` if there is none. Of a windowed table: its windows, all or those asked
   * for. Throws `KEY_INVALID`, `PARTITION_NOT_LOCAL`.
   */
  lookup(text: string, options?: LookupOptions): unknown
  /** The same value in a warm copy. Left out by tables of which one row says too little. */
  lookupCopy?(text: string, rows: StateCopy['rows'], clock: Pick<Clock, 'now'>): unknown
  /**
   * The rows of the worker in whose context it is called, in the order of their keys. Left out by tables without ranges.
   * Throws `RANGE_UNORDERED` if keys are not text.
   */
  textRange?(range: TextRange): AsyncIterable<readonly [key: string, value: unknown]>
  /**
   * A page of the rows of the worker in whose context it is called, with each key's bytes. Left out by tables of which one row says
   * too little.
   */
  rowsByBytes?(page: RowPage): AsyncIterable<readonly [bytes: Buffer, key: unknown, value: unknown]>
  /**
   * What `lookup` gives of the committed value of a key, without defaults, now and after each commit that writes it. Begins with the
   * call, in whose context the key's worker is. Rejects with `PARTITION_NOT_LOCAL` when the partition leaves, and with the signal's
   * reason.
   */
  watchText?(
    text: string,
    options: AskedWindows & { readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<unknown>
  /**
   * The committed rows of a range in the partitions of the worker in whose context it is called, and then what commits
   * change of them. Rejects as `watchText` does, and with `RANGE_UNORDERED`.
   */
  watchTextRange?(
    range: Pick<TextRange, 'prefix' | 'from' | 'to'>,
    options: { readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<RangeChange>
}

/** A table whose rows are spread over the workers. */
export interface PartitionedTable extends SiteTable, RoutedTable, StateDefinition {
  readonly name: string
}

/** A table that page functions can be routed by. */
export interface RoutableTable<K> extends RoutedTable, StateDefinition {
  readonly name: string
  /** Parses a key typed as text. Throws `KEY_INVALID`. */
  keyOf(text: string): K
}

/** Durations since the worker started. */
export interface WorkerHistograms {
  readonly agents: Readonly<Record<string, AgentHistograms>>
  readonly commits: TimeStats
}

/** What a site asks of an agent, whatever the agent's types. */
export interface SiteAgent {
  readonly name: string
  /** Whether others may ask it over HTTP. */
  readonly http: boolean
  /** As of `Agent` of `@millrace/streams`. Checks key and value, which come from outside the type system. */
  ask(value: never, options: { readonly key: never; readonly timeout: number }): Promise<unknown>
}

/** What the person who pauses a job or an agent says, for others. */
export interface PauseNote {
  readonly by?: string | undefined
  readonly why?: string | undefined
}

/** A worker in this process, as the site sees it. */
export interface SiteWorker {
  readonly context: WorkerContext
  readonly startedAt: Date
  stats(): WorkerStats
  histograms(): WorkerHistograms
  assignment(): AssignmentView
  /** As of `Worker`. */
  progressOf: Worker['progressOf']
  /**
   * The secret with which members' sites sign requests to one another; `undefined` if there is none yet. Never shown.
   */
  groupSecret(): string | undefined
  /** Dead letters that wait for a replay, by agent, as last counted; for metrics. */
  waitingLetters(): Readonly<Record<string, number>>
  jobs(): readonly JobView[]
  /** Runs a job now; resolves when the run is over. Throws `JOB_MISSING`, `NOT_LEADER`, `CLOSED`. */
  trigger(job: string): Promise<RunOutcome>
  /** Skips slots from now on, on every worker of the app. Throws `JOB_MISSING`, `CLOSED`. */
  pause(job: string, note?: PauseNote): Promise<void>
  /** Throws as `pause` does. */
  resume(job: string): Promise<void>
  /** Hands out no more events to an agent, on every worker of the app. Throws `AGENT_MISSING`, `CLOSED`. */
  pauseAgent(agent: string, note?: PauseNote): Promise<void>
  /** Throws as `pauseAgent` does. */
  resumeAgent(agent: string): Promise<void>
  /** Host and port at which other workers reach its site; `undefined` if it serves none. */
  address(): string | undefined
}

/** A declared edge of the graph, besides those from topics to the agents that read them. */
export interface Flow {
  readonly from: { readonly kind: NodeKind; readonly name: string }
  readonly to: { readonly kind: NodeKind; readonly name: string }
}

export type NodeKind = 'topic' | 'agent' | 'table'

/** The app's settings that its site uses. */
export interface SiteSettings {
  /** How long a partition may stand still before its worker is not ready. */
  readonly stallAfterMs: number
  /** How long such a partition may stand still before its worker is not live; `undefined`: for ever. */
  readonly restartAfterMs: number | undefined
  readonly web: Pick<
    ResolvedSettings['web'],
    | 'readyGraceMs'
    | 'requestTimeoutMs'
    | 'routeTimeoutMs'
    | 'bodyLimitBytes'
    | 'cors'
    | 'admin'
    | 'token'
    | 'secret'
    | 'peers'
    | 'hosts'
    | 'advertise'
    | 'builtIn'
    | 'openMetrics'
    | 'maxRequests'
    | 'maxWatches'
    | 'tls'
  >
}

/** Reads and sends records of the app's declared topics, through the app's client. */
export interface TopicRecords {
  /**
   * Records of each partition up to its current end, decoded as the topic is declared. Throws `TOPIC_MISSING`,
   * `TIMEOUT`, or the signal's reason.
   */
  records(topic: string, request: RecordsRequest): AsyncIterable<ShownRecord>
  /**
   * Sends a record whose key is typed as text and whose value is as for `topic.send`. Resolves once the broker has it.
   * Rejects with `KEY_INVALID`, `SCHEMA_MISMATCH`, `ENCODE_FAILED`, `TOPIC_MISSING`.
   */
  sendValue(
    topic: string,
    record: { readonly key: string | undefined; readonly value: unknown },
  ): Promise<RecordMetadata>
}

/** The app, as its site sees it. */
export interface SiteApp {
  readonly contexts: ContextStorage
  /** Looked up on use, because settings are settled when the app starts. */
  readonly surroundings: {
    readonly clock: Clock
    readonly log: Logger
    readonly settings: SiteSettings
    /** If this process is one of several that serve the site. */
    readonly siblings?: SiblingProcesses | undefined
    readonly sensor?: Pick<Sensor, 'tracing'>
    /** Formats errors for pages. Default: `redactText`. */
    readonly redact?: Redact
  }
  readonly definitions: {
    readonly tables: ReadonlyMap<string, PartitionedTable>
    /** Tables of which every worker has a copy. */
    readonly globalTables: ReadonlyMap<string, SiteTable>
    /** Left out if no agent is asked over HTTP. */
    readonly agents?: ReadonlyMap<string, SiteAgent>
  }
  readonly deadLetters: DeadLetters
  /** Omitted if the site has no connection of its own: pages of records are then 404. */
  readonly client?: TopicRecords
  describe(): AppDescription
  /** Workers that run in this process. The first answers `fetch`; a key is served by the worker that has it. */
  workers(): readonly SiteWorker[]
}

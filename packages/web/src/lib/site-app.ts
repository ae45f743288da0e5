import type { Clock, Logger, RecordMetadata, Redact, ResolvedSettings, Sensor, TimeStats } from '@millrace/core'
import type {
  AppDescription,
  DeadLetters,
  JobView,
  RecordsRequest,
  RunOutcome,
  ShownRecord,
} from '@millrace/core/operations'
import type {
  AgentHistograms,
  AssignmentView,
  ContextStorage,
  RoutedTable,
  StateDefinition,
  TableStats,
  WorkerContext,
  WorkerStats,
} from '@millrace/worker'

/** What is asked of a table, whatever its types. */
export interface SiteTable {
  readonly name: string
  stats(): TableStats
  /** What is under a key typed as text; `undefined` when there is nothing. Throws `KEY_INVALID`, `PARTITION_NOT_LOCAL`. */
  lookup(text: string): unknown
}

/** A table whose rows are spread over the workers. */
export interface PartitionedTable extends SiteTable, RoutedTable, StateDefinition {
  readonly name: string
}

/** A table that page functions can be routed by. */
export interface RoutableTable<K> extends RoutedTable, StateDefinition {
  readonly name: string
  /** A key typed as text. Throws `KEY_INVALID`. */
  keyOf(text: string): K
}

/** How long things have taken since the worker started. */
export interface WorkerHistograms {
  readonly agents: Readonly<Record<string, AgentHistograms>>
  readonly commits: TimeStats
}

/** A worker of this process, as the site sees it. */
export interface SiteWorker {
  readonly context: WorkerContext
  readonly startedAt: Date
  stats(): WorkerStats
  histograms(): WorkerHistograms
  assignment(): AssignmentView
  /** What the sites of the group's members sign requests to one another with; `undefined` when there is none yet. Never shown. */
  groupSecret(): string | undefined
  /** Dead letters that wait for a replay, by agent, as they were counted last; for metrics. */
  waitingLetters(): Readonly<Record<string, number>>
  jobs(): readonly JobView[]
  /** Runs a job now; resolves when the run is over. Throws `JOB_MISSING`, `NOT_LEADER`, `CLOSED`. */
  trigger(job: string): Promise<RunOutcome>
  /** Slots are skipped from now on, on every worker of the app. Throws `JOB_MISSING`, `CLOSED`. */
  pause(job: string): Promise<void>
  /** Throws as `pause` does. */
  resume(job: string): Promise<void>
  /** Host and port at which other workers reach its site; `undefined` when it serves none. */
  address(): string | undefined
}

/** An arrow of the graph between nodes that the app declares, beside those from topics to the agents that read them. */
export interface Flow {
  readonly from: { readonly kind: NodeKind; readonly name: string }
  readonly to: { readonly kind: NodeKind; readonly name: string }
}

export type NodeKind = 'topic' | 'agent' | 'table'

/** Settings of the app that its site keeps to. */
export interface SiteSettings {
  /** After which a partition that does not move makes its worker not ready. */
  readonly stallAfterMs: number
  /** After which such a partition makes its worker not live; `undefined`: never. */
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
    | 'tls'
  >
}

/** Records of the topics that the app declares; the app's client has them. */
export interface TopicRecords {
  /**
   * Records of each partition, decoded as the topic is declared, up to its end now. `TOPIC_MISSING`, `TIMEOUT`; throws the
   * signal's reason.
   */
  records(topic: string, request: RecordsRequest): AsyncIterable<ShownRecord>
  /**
   * Sends a record whose key is typed as text, and whose value is as `topic.send` takes it. Resolves when the broker has
   * it. `KEY_INVALID`, `SCHEMA_MISMATCH`, `ENCODE_FAILED`, `TOPIC_MISSING`.
   */
  sendValue(
    topic: string,
    record: { readonly key: string | undefined; readonly value: unknown },
  ): Promise<RecordMetadata>
}

/** The app, as its site sees it. */
export interface SiteApp {
  readonly contexts: ContextStorage
  /** Looked up when they are used: they are settled when the app starts. */
  readonly surroundings: {
    readonly clock: Clock
    readonly log: Logger
    readonly settings: SiteSettings
    readonly sensor?: Pick<Sensor, 'tracing'>
    /** For what pages say of errors. Default: `redactText`. */
    readonly redact?: Redact
  }
  readonly definitions: {
    readonly tables: ReadonlyMap<string, PartitionedTable>
    /** Tables of which every worker has a copy. */
    readonly globalTables: ReadonlyMap<string, SiteTable>
  }
  readonly deadLetters: DeadLetters
  /** Left out where the site has no connection of its own: the pages of records are then 404. */
  readonly client?: TopicRecords
  describe(): AppDescription
  /** Those that run in this process. The first answers `fetch`; a key is served by whichever of them has it. */
  workers(): readonly SiteWorker[]
}

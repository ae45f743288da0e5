import type {
  AppDescription,
  Clock,
  DeadLetters,
  Logger,
  RecordMetadata,
  ResolvedSettings,
  RoutedTable,
  ScopeStorage,
  ShownRecord,
  TaskPart,
  TimeFigures,
  TopicPartition,
  WorkerContext,
} from '@millrace/core'

/** What is asked of a table, whatever its types. */
export interface SiteTable {
  readonly name: string
  stats(): TableFigures
  /** What is under a key typed as text; `undefined` when there is nothing. Throws `KEY_INVALID`, `PARTITION_NOT_LOCAL`. */
  lookup(text: string): unknown
}

/** A table whose rows are spread over the workers. */
export interface PartitionedTable extends SiteTable, RoutedTable, TaskPart {
  readonly name: string
}

/** A table that page functions can be routed by. */
export interface RoutableTable<K> extends RoutedTable, TaskPart {
  readonly name: string
  /** A key typed as text. Throws `KEY_INVALID`. */
  keyOf(text: string): K
}

export interface TableFigures {
  readonly rows: number
  readonly reads: number
  readonly writes: number
  /** Writes by agent. */
  readonly writers?: Readonly<Record<string, number>>
  /** Rough size of decoded rows in memory, in bytes. */
  readonly cachedBytes?: number
}

export interface RecoveryFigures {
  readonly state: 'none' | 'recovering' | 'done'
  readonly restoredRows: number
  readonly remainingRows: number
  readonly rowsPerSecond: number
}

export interface AgentFigures {
  readonly received: number
  readonly processed: number
  readonly failed: number
  readonly retried: number
  readonly deadLettered?: number
  readonly active: number
  readonly lag: number
  readonly handling?: HandlingFigures
}

/** How long an agent takes over an event, of those that were timed in the last minute. */
export interface HandlingFigures {
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly samples: number
  readonly longestInHandMs: number
}

export interface SourceFigures extends TopicPartition {
  /** Next offset to hand out. */
  readonly position: number
  readonly committed: number | undefined
  readonly endOffset: number | undefined
  /** Records behind the end of the log, by agent. */
  readonly lags?: Readonly<Record<string, number>>
  /** For how long there has been something to commit without a commit that moved it. */
  readonly stalledMs?: number
  /** Why nothing is fetched just now. */
  readonly paused?: string | undefined
}

/** Records that went from a topic to an agent, or from an agent to a topic. */
export interface FlowFigures {
  readonly agent: string
  readonly topic: string
  readonly direction: 'in' | 'out'
  readonly records: number
}

export interface RebalanceFigures {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly durationMs: number
  /** In words. */
  readonly reason: string
  /** Partitions. */
  readonly lost: number
  readonly kept: number
  readonly gained: number
}

export interface ErrorFigures {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Agent, job, page or part. */
  readonly source: string
  readonly message: string
}

export interface DelayFigures extends TopicPartition {
  /** In words. */
  readonly reason: string
  readonly forMs: number
  /** That is longer than `deliveryTimeout`. */
  readonly overdue: boolean
  /** Ids of tasks. */
  readonly tasks: readonly string[]
}

/** What a worker says of itself; its statistics fit as they are. */
export interface WorkerFigures {
  readonly status: 'starting' | 'recovering' | 'running' | 'stopping' | 'stopped' | 'failed'
  readonly agents: Readonly<Record<string, AgentFigures>>
  readonly parts: Readonly<
    Record<
      string,
      { readonly partitions: readonly number[]; readonly rows: number; readonly recovery: RecoveryFigures }
    >
  >
  readonly sources: readonly SourceFigures[]
  readonly flows?: readonly FlowFigures[]
  /** `at` is when the last one was done, in milliseconds since the epoch. */
  readonly commits: { readonly count: number; readonly lastMs: number; readonly at?: number | undefined }
  readonly rebalances: number
  readonly lastRebalance?: RebalanceFigures | undefined
  readonly sent: number
  readonly clampedTimestamps: number
  readonly brokenBatches: number
  readonly errors: number
  /** Newest first. */
  readonly lastErrors?: readonly ErrorFigures[]
  readonly outbox: { readonly bytes: number; readonly full: boolean }
  /** Partitions that take no records just now, and the tasks that stand still for them. */
  readonly delays?: readonly DelayFigures[]
  /** Rows changed and not stored yet; when full, nothing is handed out until a commit has stored some. */
  readonly changedRows: { readonly bytes: number; readonly full: boolean }
}

/** How long things have taken since the worker started. */
export interface WorkerHistograms {
  readonly agents: Readonly<
    Record<
      string,
      {
        readonly handling: TimeFigures
        /** From a record's timestamp until it was handled. */
        readonly latency: TimeFigures
      }
    >
  >
  readonly commits: TimeFigures
}

/** A worker's assignment, and the whole group's; what a worker says of it fits as it is. */
export interface AssignmentFigures {
  readonly memberId: string | undefined
  readonly tasks: readonly {
    readonly id: string
    readonly state: string
    readonly sources: readonly TopicPartition[]
    readonly parts: readonly string[]
  }[]
  /** By task id, `{partitions}-{partition}`. */
  readonly group: ReadonlyMap<string, { readonly member: string; readonly address: string | undefined }>
  /** Where the site of each member is; also of those that have no task. */
  readonly members: ReadonlyMap<string, string | undefined>
  /** Who runs the jobs of the leader; `undefined` when nobody does, or there are none. */
  readonly leader?: { readonly member: string; readonly address: string | undefined } | undefined
  readonly unassigned: readonly string[]
}

/** A task, timer or cron job. Shown whole at `/jobs/`, so more fields do no harm. */
export interface JobFigures {
  readonly name: string
  readonly runs: number
  readonly failures: number
  readonly skipped: number
  readonly lastRun: { readonly startedAt: Date } | undefined
  readonly nextRun: Date | undefined
  readonly lastError: { readonly message: string } | undefined
}

export interface JobOutcome {
  readonly result: string
  readonly error: Error | undefined
}

/** A worker of this process, as the site sees it. */
export interface SiteWorker {
  readonly context: WorkerContext
  readonly startedAt: Date
  stats(): WorkerFigures
  histograms(): WorkerHistograms
  assignment(): AssignmentFigures
  jobs(): readonly JobFigures[]
  /** Runs a job now; resolves when the run is over. Throws `JOB_MISSING`, `NOT_LEADER`, `CLOSED`. */
  trigger(job: string): Promise<JobOutcome>
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

/** `settings.web` fits as it is. */
export type SiteSettings = Pick<
  ResolvedSettings['web'],
  'requestTimeoutMs' | 'routeTimeoutMs' | 'bodyLimitBytes' | 'cors' | 'admin'
>

/** Records of the topics that the app declares. */
export interface TopicRecords {
  /**
   * The last records of each partition, decoded as the topic is declared, up to its end now. `TOPIC_MISSING`, `TIMEOUT`;
   * throws the signal's reason.
   */
  last(topic: string, options: { readonly last: number; readonly signal: AbortSignal }): AsyncIterable<ShownRecord>
  /**
   * Sends a record whose key is typed as text, and whose value is as `topic.send` takes it. Resolves when the broker has
   * it. `KEY_INVALID`, `SCHEMA_MISMATCH`, `ENCODE_FAILED`, `TOPIC_MISSING`.
   */
  send(topic: string, record: { readonly key: string | undefined; readonly value: unknown }): Promise<RecordMetadata>
}

/**
 * What a site needs. Everything is looked up when it is used and nothing kept, so that getters may stand for what is only
 * settled when the app starts.
 */
export interface SiteDeps {
  readonly scope: ScopeStorage
  readonly clock: Clock
  readonly log: Logger
  readonly settings: SiteSettings
  /** After which a partition that does not move makes its worker not ready. */
  readonly stallAfterMs: number
  describe(): AppDescription
  tables(): Iterable<PartitionedTable>
  /** Tables of which every worker has a copy. */
  globalTables(): Iterable<SiteTable>
  /** What agents send to and write, as far as it is known. */
  flows(): readonly Flow[]
  deadLetters(): DeadLetters
  /** Left out where the site has no connection of its own: the pages of records are then 404. */
  records?(): TopicRecords
  /** Those that run in this process. The first answers `fetch`; a key is served by whichever of them has it. */
  workers(): readonly SiteWorker[]
}

import type { TimeStats, TopicPartition } from '@millrace/core'
import type { BrokerState } from '@millrace/core/driver'

// What an app can be asked about itself. Each number has one type, here, and is ready for JSON where it is made: times are
// ISO texts, and what is not known is left out. Workers, tables, agents and jobs fill them in; `/stats`, the metrics and
// the dashboard show them.

/** One agent on one worker, since the worker started. */
export interface AgentStats {
  /** Events handed out, each counted once. */
  readonly received: number
  /** Events finished. */
  readonly processed: number
  /** Attempts that failed. */
  readonly failed: number
  /** Attempts made again. */
  readonly retried: number
  /** Events given up and kept as dead letters; 0 to a worker alone, to which these are events like others. */
  readonly deadLettered: number
  /** Events in flight now. */
  readonly active: number
  /** Records behind the end of its partitions here, as last seen. */
  readonly lag: number
  /** Where the agent's own part reports it. */
  readonly handling?: HandlingTime
}

/** How long an agent takes over an event, or over a batch of `take()`, from its sight to the next being asked for. */
export interface HandlingTime {
  /** Of the last minute; `undefined` when nothing was handled in it. */
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  /** Samples behind the two. */
  readonly samples: number
  /** For how long an event has been in flight, of those that are timed; 0 when none is. */
  readonly longestInFlightMs: number
}

/** How long agents have taken over events since the worker started; each sample counts for the events since the one before. */
export interface AgentHistograms {
  readonly handling: TimeStats
  /** From a record's timestamp until it was handled. */
  readonly latency: TimeStats
}

/** A table, in this process. */
export interface TableStats {
  /** Keys that have a value, in the partitions that are here. */
  readonly rows: number
  readonly reads: number
  readonly writes: number
  /** Writes by agent. */
  readonly writers: Readonly<Record<string, number>>
  /** Rough size of decoded rows in memory, in bytes. */
  readonly cachedBytes: number
  /** Events that came when all of their windows were closed, since the process started: of a windowed table, or of all views of a table. */
  readonly late: number
  /** Of a windowed table, in the partitions that are here. */
  readonly windows?: WindowStats
}

/** How far the windows of a table are. Times are those of events. */
export interface WindowStats {
  /** The lowest of its partitions; `undefined` before the first event. */
  readonly watermark: string | undefined
  /** Windows that have rows and take events. */
  readonly open: number
  /** Keys of windows that were closed here and handled by the agent that reads them. */
  readonly closed: number
  /** Start of the oldest window that is open. */
  readonly oldestOpen: string | undefined
}

export interface RecoveryStats {
  readonly state: 'none' | 'recovering' | 'done'
  readonly restoredRows: number
  /** Offsets still to read: an upper bound of rows. */
  readonly remainingRows: number
  readonly rowsPerSecond: number
}

/** A table or stateful operator on this worker. */
export interface StateStats {
  /** Open and recovered here. */
  readonly partitions: readonly number[]
  /** In the store: as of the last commit. */
  readonly rows: number
  readonly recovery: RecoveryStats
  /** Warm copies kept here of partitions that run elsewhere; `lag` is in changelog offsets. */
  readonly standbys: readonly { readonly partition: number; readonly rows: number; readonly lag: number }[]
}

/** A source partition on this worker. */
export interface SourceStats extends TopicPartition {
  readonly task: string
  /** Next offset to hand out, of the slowest agent. */
  readonly position: number
  /** Committed offset; `undefined` before the first commit. */
  readonly committed: number | undefined
  /** End of the log as last seen; `undefined` before the first batch. */
  readonly endOffset: number | undefined
  readonly bufferedBytes: number
  /** For how long there has been something to commit without a commit that moved it; 0 when all fetched is committed. */
  readonly stalledMs: number
  /** Records behind the end of the log, by agent. */
  readonly lags: Readonly<Record<string, number>>
  /** The same of the slowest agent. */
  readonly lag: number
  /** Why nothing is fetched just now. */
  readonly paused: 'buffer' | 'uncommitted' | undefined
}

/** Why no event of a source partition is handed out to an agent just now. */
export interface WaitingStats extends TopicPartition {
  readonly task: string
  readonly agent: string
  /**
   * The weightiest first: `closed`, `opening`, `stop`, `rebalance`, `lease`, `delayed`, `collector`, `rows`, `spilled`,
   * `uncommitted`, `deferred`, `key` or `busy`.
   */
  readonly reasons: readonly string[]
  /** The same in words. */
  readonly why: string
}

/** Records that went from a topic to an agent, or from an agent to a topic, since the worker took the partitions it has. */
export interface FlowStats {
  /** `topic:orders`, `agent:count`: ids of nodes of `/graph/`. */
  readonly from: string
  readonly to: string
  readonly records: number
}

/** How it stands with the consumer group. */
export interface GroupStats {
  /**
   * `none`: nothing to read, and so no member; `joining`: for the first time; `member`; `rebalancing`: from the news of a
   * rebalance to its outcome; `out`: the group has gone on without this worker, which has not joined again yet.
   */
  readonly state: 'none' | 'joining' | 'member' | 'rebalancing' | 'out'
  /** Milliseconds for which it has been so. */
  readonly forMs: number
  /** Milliseconds since the last heartbeat was sent that has succeeded; `undefined` before, and where there are none. */
  readonly heartbeatAgeMs: number | undefined
  /** Milliseconds for which the lease has run out (`sessionTimeout` without a heartbeat); 0 while it is held. */
  readonly leaseExpiredMs: number
}

export interface RebalanceStats {
  /** When it was over. */
  readonly at: string
  readonly durationMs: number
  /** In words: who came, who went. */
  readonly reason: string
  /** Partitions. */
  readonly lost: number
  readonly kept: number
  readonly gained: number
}

export interface ErrorStats {
  readonly at: string
  /** Agent, job, page or part. */
  readonly source: string
  readonly message: string
}

/** A partition that takes no records just now. */
export interface DelayStats extends TopicPartition {
  /** In words, as of the last try. */
  readonly reason: string
  /** Milliseconds for which it has taken nothing. */
  readonly forMs: number
  /** That is longer than `deliveryTimeout`. */
  readonly overdue: boolean
  /** Ids of the tasks that stand still until it does. */
  readonly tasks: readonly string[]
}

export type WorkerStatus = 'starting' | 'recovering' | 'running' | 'stopping' | 'stopped' | 'failed'

/** One worker, since it started. */
export interface WorkerStats {
  readonly status: WorkerStatus
  readonly agents: Readonly<Record<string, AgentStats>>
  /** Tables and stateful operators. */
  readonly states: Readonly<Record<string, StateStats>>
  /** Source partitions that are on this worker. */
  readonly sources: readonly SourceStats[]
  /** Records that agents are behind the ends of the partitions here. */
  readonly lag: number
  /**
   * Each agent and source partition of which no event is handed out just now, with the reasons; of partitions whose task is
   * still being opened too. One that has merely nothing to hand out, or waits for the next turn of the event loop, is left
   * out.
   */
  readonly waitingFor: readonly WaitingStats[]
  readonly flows: readonly FlowStats[]
  /** `at` is when the last one was done; `undefined` before the first. */
  readonly commits: { readonly count: number; readonly lastMs: number; readonly at: string | undefined }
  readonly group: GroupStats
  /** Brokers that the worker has had to do with; none for a log of this machine. */
  readonly brokers: readonly BrokerState[]
  /** Tasks on their way to running, and for how many milliseconds there have been some; `isFirst`: since the worker started. */
  readonly opening: { readonly tasks: number; readonly forMs: number; readonly isFirst: boolean }
  readonly rebalances: number
  /** `undefined` before the first. */
  readonly lastRebalance: RebalanceStats | undefined
  /** Records acknowledged by the broker, changelog rows included. */
  readonly sent: number
  /** Records read whose time no date can be; they have the nearest one that can. */
  readonly clampedTimestamps: number
  /** Stretches of source topics that could not be read and were passed over. */
  readonly brokenBatches: number
  /** Errors reported to the sensor. */
  readonly errors: number
  /** The same by `ErrorStats.source`. */
  readonly errorsBySource: Readonly<Record<string, number>>
  /** Transactions that came to nothing; what was in them is done again. */
  readonly abortedTransactions: number
  /** The last ones, newest first. */
  readonly lastErrors: readonly ErrorStats[]
  readonly pendingSends: { readonly bytes: number; readonly full: boolean }
  readonly delays: readonly DelayStats[]
  /** Rows changed by finished events and not stored yet; when full, nothing is handed out until a commit has stored some. */
  readonly changedRows: { readonly bytes: number; readonly full: boolean }
}

import type { TimeStats, TopicPartition } from '@millrace/core'
import type { BrokerState } from '@millrace/core/driver'
import type { WatermarkStats } from './watermark-stats.ts'

// Statistics of an app. Each number has one type, here, and is ready for JSON where it is made: times are ISO texts,
// and unknown values are left out. Workers, tables, agents and jobs fill them in; `/stats`, the metrics and the
// dashboard show them.

/** One agent on one worker, since the worker started. */
export interface AgentStats {
  /** Events handed out, each counted once. */
  readonly received: number
  /** Events finished. */
  readonly processed: number
  /** Attempts that failed. */
  readonly failed: number
  /** Attempts that were repeated. */
  readonly retried: number
  /**
   * Events given up and kept as dead letters; 0 in statistics of a worker alone, for which they are ordinary events.
   */
  readonly deadLettered: number
  /** Events that came too late for a join; they are processed, too. Where the agent's own part counts them. */
  readonly late?: number
  /** For an agent with `retry`: the events that wait outside of their partitions, in the tasks that are here. */
  readonly waiting?: WaitingEvents
  /** Events in flight now. */
  readonly active: number
  /** Records up to the end of its partitions here, as last seen. */
  readonly lag: number
  /** Present if the agent's own part reports it. */
  readonly handling?: HandlingTime
  /** Present while the agent is paused, on all workers of the app. */
  readonly paused?: PausedStats
}

/** A pause of an agent. */
export interface PausedStats {
  readonly since: string
  /** Who has paused it, as they said, or as the site knows them. */
  readonly by?: string
  readonly why?: string
}

/** Events that have left their partitions, to wait for their next attempt or for an earlier event of their key. */
export interface WaitingEvents {
  readonly events: number
  /** When the next of them is due; `undefined` if none waits. */
  readonly next: string | undefined
}

/**
 * How long an agent takes for an event, or for a batch of `take()`: from receiving it until it asks for the next one.
 */
export interface HandlingTime {
  /** Median of the last minute; `undefined` if nothing was handled in it. */
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  /** The number of samples behind the two. */
  readonly samples: number
  /** How long the oldest of the timed events has been in flight; 0 if there is none. */
  readonly longestInFlightMs: number
}

/**
 * How long agents have taken for events since the worker started; each sample counts for the events since the previous
 * one.
 */
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
  /**
   * Events that arrived after all of their windows were closed, since the process started: of a windowed table, or of
   * all views of a table.
   */
  readonly late: number
  /** Only for a windowed table, over the partitions that are here. */
  readonly windows?: WindowStats
  /** Only for a table with a `ttl`: rows that have expired here. */
  readonly expired?: number
  /** Only for timers of keys, over the partitions that are here. */
  readonly timers?: TimerStats
}

/** Of `app.keyTimers`; its rows are the pending timers. */
export interface TimerStats {
  /** How many have fired here. */
  readonly fired: number
  /** When the next one is due. */
  readonly next: string | undefined
}

/** The progress of the windows of a table. Times are event times. */
export interface WindowStats {
  /** The lowest watermark of its partitions; `undefined` before the first event. */
  readonly watermark: string | undefined
  /** Windows that have rows and take events. */
  readonly open: number
  /** Keys of closed windows that the agent which reads them has handled here. */
  readonly closed: number
  /** Start of the oldest open window. */
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
  /** Partitions that are open and recovered here. */
  readonly partitions: readonly number[]
  /** Without those by which a state finds what is due. */
  readonly rows: number
  readonly recovery: RecoveryStats
  /** Warm copies kept here of partitions that run elsewhere; `lag` is in changelog offsets. */
  readonly standbys: readonly { readonly partition: number; readonly rows: number; readonly lag: number }[]
}

/** A source partition on this worker. */
export interface SourceStats extends TopicPartition {
  readonly task: string
  /** Next offset to hand out, of the slowest agent that is not held back. */
  readonly position: number
  /** The agents among its readers that are paused, or whose circuit is open. */
  readonly heldAgents: readonly string[]
  /** Committed offset; `undefined` before the first commit. */
  readonly committed: number | undefined
  /** End of the log as last seen; `undefined` before the first batch. */
  readonly endOffset: number | undefined
  readonly bufferedBytes: number
  /**
   * Events whose times were more than `maxFutureSkew` ahead of the clock, so that they moved no watermark; 0 if nothing
   * keeps event time here.
   */
  readonly skewed: number
  /**
   * How long no commit has moved it although there was something to commit; 0 if everything fetched is committed, or if
   * only agents that are held back have something left.
   */
  readonly stalledMs: number
  /** Records behind the end of the log, by agent. */
  readonly lags: Readonly<Record<string, number>>
  /** The lag of the slowest agent. */
  readonly lag: number
  /** Why nothing is fetched at present. */
  readonly paused: 'buffer' | 'uncommitted' | undefined
}

/** Why no event of a source partition is handed out to an agent at present. */
export interface WaitingStats extends TopicPartition {
  readonly task: string
  readonly agent: string
  /**
   * The weightiest first: `closed`, `opening`, `stop`, `rebalance`, `lease`, `paused`, `circuit`, `delayed`, `collector`,
   * `rows`, `spilled`, `uncommitted`, `deferred`, `key` or `busy`.
   */
  readonly reasons: readonly string[]
  /** The same in words. */
  readonly why: string
}

/**
 * Records that went from a topic to an agent, or from an agent to a topic, and events that a state had due for an agent, since
 * the worker was given its partitions.
 */
export interface FlowStats {
  /** `topic:orders`, `agent:count`, `table:minutes`: ids of nodes of `/graph/`, except for states that are no tables. */
  readonly from: string
  readonly to: string
  readonly records: number
}

/** The worker's membership in the consumer group. */
export interface GroupStats {
  /**
   * `none`: nothing to read, and so not a member; `joining`: joining for the first time; `member`; `rebalancing`:
   * between the news of a rebalance and its outcome; `out`: the group has gone on without this worker, which has not
   * joined again yet.
   */
  readonly state: 'none' | 'joining' | 'member' | 'rebalancing' | 'out'
  /** How long this state has lasted, in milliseconds. */
  readonly forMs: number
  /**
   * Milliseconds since the last successful heartbeat was sent; `undefined` before the first one, and if there are no
   * heartbeats.
   */
  readonly heartbeatAgeMs: number | undefined
  /** How long ago the lease ran out (`sessionTimeout` without a heartbeat), in milliseconds; 0 while it is held. */
  readonly leaseExpiredMs: number
}

export interface RebalanceStats {
  /** When the rebalance ended. */
  readonly at: string
  readonly durationMs: number
  /** In words: how many joined and left. */
  readonly reason: string
  /** How many partitions were lost. */
  readonly lost: number
  readonly kept: number
  readonly gained: number
}

export interface ErrorStats {
  readonly at: string
  /** The agent, job, page or part that failed. */
  readonly source: string
  readonly message: string
}

/** A partition that accepts no records at present. */
export interface DelayStats extends TopicPartition {
  /** In words, as of the last attempt. */
  readonly reason: string
  /** How long it has accepted nothing, in milliseconds. */
  readonly forMs: number
  /** Whether that is longer than `deliveryTimeout`. */
  readonly overdue: boolean
  /** Ids of the tasks that wait for it. */
  readonly tasks: readonly string[]
}

export type WorkerStatus = 'starting' | 'recovering' | 'running' | 'stopping' | 'stopped' | 'failed'

/** Statistics of one worker, since it started. */
export interface WorkerStats {
  readonly status: WorkerStatus
  readonly agents: Readonly<Record<string, AgentStats>>
  /** Tables and stateful operators. */
  readonly states: Readonly<Record<string, StateStats>>
  /** Source partitions that are on this worker. */
  readonly sources: readonly SourceStats[]
  /** How many records agents are behind the ends of the partitions here. */
  readonly lag: number
  /**
   * Each agent and source partition of which no event is handed out at present, with the reasons; includes partitions
   * whose task is being opened. Left out are those that merely have nothing to hand out, or wait for the next turn of
   * the event loop.
   */
  readonly waitingFor: readonly WaitingStats[]
  /** How far event time has come on this worker; empty if nothing keeps event time. */
  readonly watermarks: readonly WatermarkStats[]
  readonly flows: readonly FlowStats[]
  /** `at` is the time of the last one; `undefined` before the first. */
  readonly commits: { readonly count: number; readonly lastMs: number; readonly at: string | undefined }
  readonly group: GroupStats
  /** The brokers that the worker has used; none for a log on this machine. */
  readonly brokers: readonly BrokerState[]
  /**
   * Tasks that are being opened, and since how many milliseconds there have been some; `isFirst`: since the worker
   * started.
   */
  readonly opening: { readonly tasks: number; readonly forMs: number; readonly isFirst: boolean }
  readonly rebalances: number
  /** `undefined` before the first. */
  readonly lastRebalance: RebalanceStats | undefined
  /** Records acknowledged by the broker, changelog rows included. */
  readonly sent: number
  /** Records whose timestamp is beyond the range of dates; they have the nearest possible date. */
  readonly clampedTimestamps: number
  /** Ranges of source topics that could not be read and were skipped. */
  readonly brokenBatches: number
  /** Errors reported to the sensor. */
  readonly errors: number
  /** Errors by `ErrorStats.source`. */
  readonly errorsBySource: Readonly<Record<string, number>>
  /** Aborted transactions, whose work is done again. */
  readonly abortedTransactions: number
  /** The latest errors, newest first. */
  readonly lastErrors: readonly ErrorStats[]
  readonly pendingSends: { readonly bytes: number; readonly full: boolean }
  readonly delays: readonly DelayStats[]
  /**
   * Rows changed by finished events and not stored yet. While `full`, nothing is handed out until a commit has stored
   * some.
   */
  readonly changedRows: { readonly bytes: number; readonly full: boolean }
}

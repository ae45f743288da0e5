import type { TimeFigures, TopicPartition } from '@millrace/core'
import type { RecoveryStats } from '../restore/recovery.ts'
import type { DelayStats } from '../sending/delays.ts'

/** Sums over the subscriptions of one agent on this worker, since it started. */
export interface AgentStats {
  /** Events handed out, each counted once. */
  readonly received: number
  /** Events finished. */
  readonly processed: number
  /** Attempts that failed. */
  readonly failed: number
  /** Attempts made again. */
  readonly retried: number
  /** Events in hand now. */
  readonly active: number
  /** Records behind the end of its partitions here, as last seen. */
  readonly lag: number
}

/** A table or stateful operator on this worker. */
export interface PartStats {
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
  /** Why nothing is fetched just now. */
  readonly paused: 'buffer' | 'uncommitted' | undefined
}

/** Records that went from a topic to an agent, or from an agent to a topic, since the worker took the partitions it has. */
export interface FlowStats {
  readonly agent: string
  readonly topic: string
  readonly direction: 'in' | 'out'
  readonly records: number
}

export interface RebalanceStats {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly durationMs: number
  /** In words: who came, who went. */
  readonly reason: string
  /** Partitions. */
  readonly lost: number
  readonly kept: number
  readonly gained: number
}

export interface ErrorStats {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Agent, job, page or part. */
  readonly source: string
  readonly message: string
}

/** The worker's part of `/stats`. */
export interface WorkerStats {
  readonly status: WorkerStatus
  readonly agents: Readonly<Record<string, AgentStats>>
  readonly parts: Readonly<Record<string, PartStats>>
  readonly sources: readonly SourceStats[]
  readonly flows: readonly FlowStats[]
  /** `at` is when the last one was done, in milliseconds since the epoch; `undefined` before the first. */
  readonly commits: {
    readonly count: number
    readonly lastMs: number
    readonly at: number | undefined
    readonly durations: TimeFigures
  }
  readonly rebalances: number
  /** `undefined` before the first. */
  readonly lastRebalance: RebalanceStats | undefined
  /** Records acknowledged by the broker, changelog rows included. */
  readonly sent: number
  /** Records read whose time no date can be; they have the nearest one that can. */
  readonly clampedTimestamps: number
  /** Stretches of source topics that could not be read and were passed over. */
  readonly brokenBatches: number
  /** Errors told to the sensor. */
  readonly errors: number
  /** The last ones, newest first. */
  readonly lastErrors: readonly ErrorStats[]
  readonly outbox: { readonly bytes: number; readonly full: boolean }
  /** Partitions that take no records just now, and the tasks that stand still for them. */
  readonly delays: readonly DelayStats[]
  /** Rows changed by finished events and not stored yet; when full, nothing is handed out until a commit has stored some. */
  readonly changedRows: { readonly bytes: number; readonly full: boolean }
}

export type WorkerStatus = 'starting' | 'recovering' | 'running' | 'stopping' | 'stopped' | 'failed'

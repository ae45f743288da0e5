import type {
  AgentStats,
  ErrorStats,
  RebalanceStats,
  RecoveryStats,
  SourceStats,
  TableStats,
  WorkerStats,
} from '@millrace/worker'

/** What `/stats` answers: a worker, its tables and its jobs. Times are ISO texts; what is not known is left out. */
export interface SiteStats extends Omit<
  WorkerStats,
  'agents' | 'parts' | 'sources' | 'flows' | 'commits' | 'lastRebalance' | 'lastErrors'
> {
  readonly app: string
  readonly worker: {
    readonly id: string
    readonly host: string
    readonly port: number | undefined
    readonly pid: number
    readonly version: string
    readonly startedAt: string
    /** Where other workers reach its site. */
    readonly address: string | undefined
    /** Its id in the group. */
    readonly member: string | undefined
  }
  readonly broker: string
  readonly guarantee: string
  readonly agents: Readonly<Record<string, SiteAgentStats>>
  readonly tables: Readonly<Record<string, SiteTableStats>>
  readonly jobs: Readonly<Record<string, SiteJobStats>>
  /** Source partitions that are on this worker. */
  readonly sources: readonly SiteSourceStats[]
  /** What went from topics to agents, and from agents to topics and tables. */
  readonly flows: readonly SiteFlowStats[]
  /** Records that agents are behind the ends of the partitions here. */
  readonly lag: number
  readonly commits: { readonly count: number; readonly lastMs: number; readonly at: string | undefined }
  readonly lastRebalance: (Omit<RebalanceStats, 'at'> & { readonly at: string }) | undefined
  /** Newest first. */
  readonly lastErrors: readonly (Omit<ErrorStats, 'at'> & { readonly at: string })[]
  /** Events finished and records sent a second, over the last five. All rates are the dashboard's: it watches the worker. */
  readonly rates?: { readonly events: number; readonly sent: number }
  readonly errorsInFiveMinutes?: number
}

export interface SiteAgentStats extends AgentStats {
  readonly deadLettered: number
  /** Instances on each worker. */
  readonly concurrency: number
  /** Events finished a second. */
  readonly perSecond?: number
}

export interface SiteTableStats extends Omit<TableStats, 'writers'> {
  readonly kind: string
  /** Partitions that are on this worker; all of them for a global table. */
  readonly partitions: readonly number[]
  readonly recovery: RecoveryStats
  readonly readsPerSecond?: number
  readonly writesPerSecond?: number
}

export interface SiteJobStats {
  readonly runs: number
  readonly failures: number
  readonly skipped: number
  /** When it began. */
  readonly lastRun: string | undefined
  readonly nextRun: string | undefined
  readonly lastError: string | undefined
}

export interface SiteSourceStats extends SourceStats {
  /** Records behind the end of the log, of the slowest agent. */
  readonly lag: number
}

export interface SiteFlowStats {
  /** Ids of nodes of `/graph/`. */
  readonly from: string
  readonly to: string
  readonly records: number
  readonly perSecond?: number
}

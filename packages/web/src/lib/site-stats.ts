import type { AgentStats, FlowStats, RecoveryStats, TableStats, WorkerStats } from '@millrace/worker'

/** The answer of `/stats`: a worker's statistics, with what its site knows of the app, tables and jobs. */
export interface SiteStats extends Omit<WorkerStats, 'states'> {
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
  /** Flows from topics to agents, and from agents to topics and tables. */
  readonly flows: readonly SiteFlowStats[]
  /**
   * Events finished and records sent per second, averaged over the last five seconds. The dashboard adds all rates by
   * watching the worker.
   */
  readonly rates?: { readonly events: number; readonly sent: number }
  readonly errorsInFiveMinutes?: number
}

export interface SiteAgentStats extends AgentStats {
  /** Instances on each worker. */
  readonly concurrency: number
  /** Events finished per second. */
  readonly perSecond?: number
}

export interface SiteTableStats extends Omit<TableStats, 'writers'> {
  readonly kind: string
  /** Partitions on this worker; all of them for a global table. */
  readonly partitions: readonly number[]
  readonly recovery: RecoveryStats
  readonly readsPerSecond?: number
  readonly writesPerSecond?: number
}

export interface SiteJobStats {
  readonly runs: number
  readonly failures: number
  readonly skipped: number
  /** When the run began. */
  readonly lastRun: string | undefined
  readonly nextRun: string | undefined
  readonly lastError: string | undefined
}

export interface SiteFlowStats extends FlowStats {
  readonly perSecond?: number
}

import { hostname } from 'node:os'
import { siteUrl } from '../routing/site-url.ts'
import type {
  AgentFigures,
  JobFigures,
  PartitionedTable,
  RecoveryFigures,
  SiteDeps,
  SiteTable,
  SiteWorker,
  TableFigures,
  WorkerFigures,
} from '../site/site-deps.ts'

/** What `/stats` answers. Times are ISO texts; what is not known is left out. */
export interface StatsAnswer {
  readonly app: string
  readonly worker: {
    readonly id: string
    readonly host: string
    readonly port: number | undefined
    readonly pid: number
    readonly version: string
    readonly startedAt: string
  }
  readonly status: WorkerFigures['status']
  readonly agents: Readonly<Record<string, Required<AgentFigures>>>
  readonly tables: Readonly<Record<string, TableAnswer>>
  readonly jobs: Readonly<Record<string, JobAnswer>>
  readonly commits: WorkerFigures['commits']
  readonly rebalances: number
  readonly sent: number
  readonly errors: number
}

export interface TableAnswer extends TableFigures {
  /** Partitions that are on this worker; all of them for a global table. */
  readonly partitions: readonly number[]
  readonly recovery: RecoveryFigures
}

export interface JobAnswer extends Pick<JobFigures, 'runs' | 'failures' | 'skipped'> {
  /** When it began. */
  readonly lastRun: string | undefined
  readonly nextRun: string | undefined
  readonly lastError: string | undefined
}

const NO_RECOVERY: RecoveryFigures = { state: 'none', restoredRows: 0, remainingRows: 0, rowsPerSecond: 0 }

/** Figures of one worker. Called in its scope, so that tables give those of its own partitions. */
export function statsOf(site: SiteDeps, worker: SiteWorker): StatsAnswer {
  const { status, agents, parts, commits, rebalances, sent, errors } = worker.stats()
  const { version } = site.describe()
  const partitioned = [...site.tables()].map((table) => [table.name, tableAnswer(table, parts[table.name])] as const)
  const whole = [...site.globalTables()].map((table) => [table.name, tableAnswer(table, undefined)] as const)
  return {
    app: worker.context.appId,
    worker: {
      id: worker.context.id,
      ...placeOf(worker),
      pid: process.pid,
      version,
      startedAt: worker.startedAt.toISOString(),
    },
    status,
    agents: Object.fromEntries(
      Object.entries(agents).map(([name, figures]) => [name, { deadLettered: 0, ...figures }]),
    ),
    tables: Object.fromEntries([...partitioned, ...whole]),
    jobs: Object.fromEntries(worker.jobs().map((job) => [job.name, jobAnswer(job)])),
    commits,
    rebalances,
    sent,
    errors,
  }
}

function placeOf(worker: SiteWorker): { readonly host: string; readonly port: number | undefined } {
  const address = worker.address()
  if (address === undefined) return { host: hostname(), port: undefined }
  const url = siteUrl(address)
  return { host: url.hostname, port: Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port) }
}

function tableAnswer(
  table: SiteTable | PartitionedTable,
  part: WorkerFigures['parts'][string] | undefined,
): TableAnswer {
  const { rows, reads, writes, late } = table.stats()
  return { rows, partitions: part?.partitions ?? [], reads, writes, late, recovery: part?.recovery ?? NO_RECOVERY }
}

function jobAnswer({ runs, failures, skipped, lastRun, nextRun, lastError }: JobFigures): JobAnswer {
  return {
    runs,
    failures,
    skipped,
    lastRun: lastRun?.startedAt.toISOString(),
    nextRun: nextRun?.toISOString(),
    lastError: lastError?.message,
  }
}

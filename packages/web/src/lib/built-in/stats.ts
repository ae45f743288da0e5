import { hostname } from 'node:os'
import { siteUrl } from '../routing/site-url.ts'
import type {
  AgentFigures,
  DelayFigures,
  FlowFigures,
  HandlingFigures,
  JobFigures,
  RebalanceFigures,
  RecoveryFigures,
  SiteDeps,
  SiteWorker,
  SourceFigures,
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
    /** Where other workers reach its site. */
    readonly address: string | undefined
    /** Its id in the group. */
    readonly member: string | undefined
  }
  readonly broker: string
  readonly guarantee: string
  readonly status: WorkerFigures['status']
  readonly agents: Readonly<Record<string, AgentAnswer>>
  readonly tables: Readonly<Record<string, TableAnswer>>
  readonly jobs: Readonly<Record<string, JobAnswer>>
  /** Source partitions that are on this worker. */
  readonly sources: readonly SourceAnswer[]
  /** What went from topics to agents, and from agents to topics and tables. */
  readonly flows: readonly FlowAnswer[]
  /** Records that agents are behind the ends of the partitions here. */
  readonly lag: number
  readonly commits: { readonly count: number; readonly lastMs: number; readonly at: string | undefined }
  readonly rebalances: number
  readonly lastRebalance: (Omit<RebalanceFigures, 'at'> & { readonly at: string }) | undefined
  readonly sent: number
  /** Records read whose time no date can be; they have the nearest one that can. */
  readonly clampedTimestamps: number
  /** Stretches of source topics that could not be read and were passed over. */
  readonly brokenBatches: number
  readonly errors: number
  /** Newest first. */
  readonly lastErrors: readonly { readonly at: string; readonly source: string; readonly message: string }[]
  readonly outbox: WorkerFigures['outbox']
  readonly changedRows: WorkerFigures['changedRows']
  /** Partitions that take no records just now, and the tasks that stand still for them. */
  readonly delays: readonly DelayFigures[]
  /** Events finished and records sent a second, over the last five. Rates are there when the site is served, or its history was asked for. */
  readonly rates?: { readonly events: number; readonly sent: number }
  readonly errorsInFiveMinutes?: number
}

export interface AgentAnswer extends Omit<Required<AgentFigures>, 'handling'> {
  /** Instances on each worker. */
  readonly concurrency: number
  readonly handling: HandlingFigures | undefined
  /** Events finished a second. */
  readonly perSecond?: number
}

export interface SourceAnswer extends SourceFigures {
  /** Records behind the end of the log, of the slowest agent. */
  readonly lag: number
}

export interface FlowAnswer {
  /** Ids of nodes of `/graph/`. */
  readonly from: string
  readonly to: string
  readonly records: number
  readonly perSecond?: number
}

export interface TableAnswer extends Omit<TableFigures, 'writers'> {
  readonly kind: string
  /** Partitions that are on this worker; all of them for a global table. */
  readonly partitions: readonly number[]
  readonly recovery: RecoveryFigures
  readonly readsPerSecond?: number
  readonly writesPerSecond?: number
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
  const { status, agents, parts, sources, commits, rebalances, sent, errors, outbox, changedRows, ...more } =
    worker.stats()
  const app = site.describe()
  const kinds = new Map(app.tables.map(({ name, kind }) => [name, kind]))
  const concurrency = new Map(app.agents.map((agent) => [agent.name, agent.concurrency]))
  const tables = [...site.tables(), ...site.globalTables()].map((table) => ({
    name: table.name,
    figures: table.stats(),
  }))
  const tableAnswers = tables.map(({ name, figures: { writers: _, ...figures } }) => {
    const { partitions = [], recovery = NO_RECOVERY } = parts[name] ?? {}
    return [name, { ...figures, kind: kinds.get(name) ?? 'table', partitions, recovery }] as const
  })
  return {
    app: worker.context.appId,
    worker: {
      id: worker.context.id,
      ...placeOf(worker),
      pid: process.pid,
      version: app.version,
      startedAt: worker.startedAt.toISOString(),
      address: worker.address(),
      member: worker.assignment().memberId,
    },
    broker: app.broker,
    guarantee: app.processingGuarantee,
    status,
    agents: Object.fromEntries(
      Object.entries(agents).map(([name, figures]) => [
        name,
        { deadLettered: 0, handling: undefined, ...figures, concurrency: concurrency.get(name) ?? 1 },
      ]),
    ),
    tables: Object.fromEntries(tableAnswers),
    jobs: Object.fromEntries(worker.jobs().map((job) => [job.name, jobAnswer(job)])),
    sources: sources.map(sourceAnswer),
    flows: [...(more.flows ?? []).map(flowAnswer), ...tables.flatMap(({ name, figures }) => writersOf(name, figures))],
    lag: Object.values(agents).reduce((sum, { lag }) => sum + lag, 0),
    commits: { count: commits.count, lastMs: commits.lastMs, at: isoOf(commits.at) },
    rebalances,
    lastRebalance: more.lastRebalance && { ...more.lastRebalance, at: new Date(more.lastRebalance.at).toISOString() },
    sent,
    clampedTimestamps: more.clampedTimestamps,
    brokenBatches: more.brokenBatches,
    errors,
    lastErrors: (more.lastErrors ?? []).map((error) => ({ ...error, at: new Date(error.at).toISOString() })),
    outbox,
    changedRows,
    delays: more.delays ?? [],
  }
}

function sourceAnswer(source: SourceFigures): SourceAnswer {
  const { lags, position, endOffset } = source
  const lag = lags === undefined ? Math.max((endOffset ?? position) - position, 0) : Math.max(0, ...Object.values(lags))
  return { ...source, lag }
}

function flowAnswer({ agent, topic, direction, records }: FlowFigures): FlowAnswer {
  const [from, to] = direction === 'in' ? [`topic:${topic}`, `agent:${agent}`] : [`agent:${agent}`, `topic:${topic}`]
  return { from, to, records }
}

function writersOf(table: string, { writers = {} }: TableFigures): readonly FlowAnswer[] {
  return Object.entries(writers).map(([agent, records]) => ({ from: `agent:${agent}`, to: `table:${table}`, records }))
}

function isoOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}

function placeOf(worker: SiteWorker): { readonly host: string; readonly port: number | undefined } {
  const address = worker.address()
  if (address === undefined) return { host: hostname(), port: undefined }
  const url = siteUrl(address)
  return { host: url.hostname, port: Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port) }
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

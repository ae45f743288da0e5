import { hostname } from 'node:os'
import type { JobView } from '@millrace/core/operations'
import type { SiteFlowStats, SiteJobStats, SiteStats } from '../site/site-stats.ts'
import type { FlowStats, RecoveryStats, TableStats } from '@millrace/worker'
import { siteUrl } from '../routing/peer-addresses.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'

const NO_RECOVERY: RecoveryStats = { state: 'none', restoredRows: 0, remainingRows: 0, rowsPerSecond: 0 }

/** What `/stats` answers of one worker. Called where tables are that worker's, so that they count its own partitions. */
export function statsOf(site: SiteApp, worker: SiteWorker): SiteStats {
  const { agents, parts, sources, flows, commits, lastRebalance, lastErrors, ...same } = worker.stats()
  const app = site.describe()
  const kinds = new Map(app.tables.map(({ name, kind }) => [name, kind]))
  const concurrency = new Map(app.agents.map((agent) => [agent.name, agent.concurrency]))
  const { tables: partitioned, globalTables } = site.definitions
  const tables = [...partitioned.values(), ...globalTables.values()].map((table) => ({
    name: table.name,
    stats: table.stats(),
  }))
  return {
    ...same,
    app: worker.context.appId,
    worker: {
      id: worker.context.id,
      ...hostAndPort(worker),
      pid: process.pid,
      version: app.version,
      startedAt: worker.startedAt.toISOString(),
      address: worker.address(),
      member: worker.assignment().memberId,
    },
    broker: app.broker,
    guarantee: app.processingGuarantee,
    agents: Object.fromEntries(
      Object.entries(agents).map(([name, stats]) => [
        name,
        { deadLettered: 0, ...stats, concurrency: concurrency.get(name) ?? 1 },
      ]),
    ),
    tables: Object.fromEntries(
      tables.map(({ name, stats: { writers: _, ...stats } }) => {
        const { partitions = [], recovery = NO_RECOVERY } = parts[name] ?? {}
        return [name, { ...stats, kind: kinds.get(name) ?? 'table', partitions, recovery }]
      }),
    ),
    jobs: Object.fromEntries(worker.jobs().map((job) => [job.name, jobStats(job)])),
    sources: sources.map((source) => ({ ...source, lag: Math.max(0, ...Object.values(source.lags)) })),
    flows: [...flows.map(flowStats), ...tables.flatMap(({ name, stats }) => writersOf(name, stats))],
    lag: Object.values(agents).reduce((sum, { lag }) => sum + lag, 0),
    commits: { count: commits.count, lastMs: commits.lastMs, at: isoOf(commits.at) },
    lastRebalance: lastRebalance && { ...lastRebalance, at: new Date(lastRebalance.at).toISOString() },
    lastErrors: lastErrors.map((error) => ({ ...error, at: new Date(error.at).toISOString() })),
  }
}

function flowStats({ agent, topic, direction, records }: FlowStats): SiteFlowStats {
  const [from, to] = direction === 'in' ? [`topic:${topic}`, `agent:${agent}`] : [`agent:${agent}`, `topic:${topic}`]
  return { from, to, records }
}

function writersOf(table: string, { writers }: TableStats): readonly SiteFlowStats[] {
  return Object.entries(writers).map(([agent, records]) => ({ from: `agent:${agent}`, to: `table:${table}`, records }))
}

function isoOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}

function hostAndPort(worker: SiteWorker): { readonly host: string; readonly port: number | undefined } {
  const address = worker.address()
  if (address === undefined) return { host: hostname(), port: undefined }
  const url = siteUrl(address)
  return { host: url.hostname, port: Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port) }
}

function jobStats({ runs, failures, skipped, lastRun, nextRun, lastError }: JobView): SiteJobStats {
  return {
    runs,
    failures,
    skipped,
    lastRun: lastRun?.startedAt.toISOString(),
    nextRun: nextRun?.toISOString(),
    lastError: lastError?.message,
  }
}

import { hostname } from 'node:os'
import type { JobView } from '@millrace/core/operations'
import type { SiteJobStats, SiteStats } from '../site-stats.ts'
import type { FlowStats, RecoveryStats, TableStats } from '@millrace/worker'
import { siteUrl } from '../routing/peer-addresses.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'

const NO_RECOVERY: RecoveryStats = { state: 'none', restoredRows: 0, remainingRows: 0, rowsPerSecond: 0 }

/**
 * The answer of `/stats` for one worker. Must be called in that worker's context, so that tables count its own
 * partitions.
 */
export function statsOf(site: SiteApp, worker: SiteWorker): SiteStats {
  const { states, ...stats } = worker.stats()
  const app = site.describe()
  const kinds = new Map(app.tables.map(({ name, kind }) => [name, kind]))
  const concurrency = new Map(app.agents.map((agent) => [agent.name, agent.concurrency]))
  const { tables: partitioned, globalTables } = site.definitions
  const tables = [...partitioned.values(), ...globalTables.values()].map((table) => ({
    name: table.name,
    stats: table.stats(),
  }))
  return {
    ...stats,
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
      Object.entries(stats.agents).map(([name, agent]) => [
        name,
        { ...agent, concurrency: concurrency.get(name) ?? 1 },
      ]),
    ),
    tables: Object.fromEntries(
      tables.map(({ name, stats: { writers: _, ...table } }) => {
        const { partitions = [], recovery = NO_RECOVERY } = states[name] ?? {}
        return [name, { ...table, kind: kinds.get(name) ?? 'table', partitions, recovery }]
      }),
    ),
    jobs: Object.fromEntries(worker.jobs().map((job) => [job.name, jobStats(job)])),
    flows: [...stats.flows, ...tables.flatMap((table) => writersOf(table.name, table.stats))],
  }
}

function writersOf(table: string, { writers }: TableStats): readonly FlowStats[] {
  return Object.entries(writers).map(([agent, records]) => ({ from: `agent:${agent}`, to: `table:${table}`, records }))
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

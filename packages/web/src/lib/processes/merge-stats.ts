import type { AgentStats, ErrorStats, FlowStats, HandlingTime, WorkerStatus } from '@millrace/worker'
import type { SiteJobStats, SiteStats, SiteTableStats } from '../site-stats.ts'

/** The least ready first. */
const STATUSES: readonly WorkerStatus[] = ['failed', 'stopped', 'stopping', 'starting', 'recovering', 'running']
const MOST_ERRORS = 20

/**
 * The statistics of several processes of one machine as one: counts are added, lists joined, the status is that of the
 * process that is least ready, and times of handling are those of the slowest. What has no meaning for several
 * (`worker`, `group`, `lastRebalance`) is that of the first, which was asked.
 */
export function mergeStats(asked: SiteStats, others: readonly SiteStats[]): SiteStats {
  const all = [asked, ...others]
  const sum = (number: (stats: SiteStats) => number): number => all.reduce((total, each) => total + number(each), 0)
  const { rates } = asked
  return {
    ...asked,
    status: STATUSES.find((status) => all.some((each) => each.status === status)) ?? asked.status,
    agents: mergeRecords(
      all.map(({ agents }) => agents),
      mergeAgents,
    ),
    tables: mergeRecords(
      all.map(({ tables }) => tables),
      mergeTables,
    ),
    jobs: mergeRecords(
      all.map(({ jobs }) => jobs),
      mergeJobs,
    ),
    flows: mergeFlows(all.flatMap(({ flows }) => flows)),
    sources: all.flatMap(({ sources }) => sources),
    waitingFor: all.flatMap(({ waitingFor }) => waitingFor),
    watermarks: all.flatMap(({ watermarks }) => watermarks),
    delays: all.flatMap(({ delays }) => delays),
    lag: sum(({ lag }) => lag),
    commits: {
      count: sum(({ commits }) => commits.count),
      lastMs: Math.max(...all.map(({ commits }) => commits.lastMs)),
      at: latest(all.map(({ commits }) => commits.at)),
    },
    opening: {
      tasks: sum(({ opening }) => opening.tasks),
      forMs: Math.max(...all.map(({ opening }) => opening.forMs)),
      isFirst: all.some(({ opening }) => opening.isFirst),
    },
    sent: sum(({ sent }) => sent),
    clampedTimestamps: sum(({ clampedTimestamps }) => clampedTimestamps),
    brokenBatches: sum(({ brokenBatches }) => brokenBatches),
    errors: sum(({ errors }) => errors),
    errorsBySource: mergeRecords(
      all.map(({ errorsBySource }) => errorsBySource),
      add,
    ),
    abortedTransactions: sum(({ abortedTransactions }) => abortedTransactions),
    lastErrors: newest(all.flatMap(({ lastErrors }) => lastErrors)),
    pendingSends: mergeBuffers(all.map(({ pendingSends }) => pendingSends)),
    changedRows: mergeBuffers(all.map(({ changedRows }) => changedRows)),
    ...(rates === undefined
      ? {}
      : { rates: { events: sum((each) => each.rates?.events ?? 0), sent: sum((each) => each.rates?.sent ?? 0) } }),
  }
}

function mergeRecords<T>(
  records: readonly Readonly<Record<string, T>>[],
  merge: (one: T, other: T) => T,
): Readonly<Record<string, T>> {
  const merged = new Map<string, T>()
  for (const [name, value] of records.flatMap((record) => Object.entries(record))) {
    const known = merged.get(name)
    merged.set(name, known === undefined ? value : merge(known, value))
  }
  return Object.fromEntries(merged)
}

function add(one: number, other: number): number {
  return one + other
}

function mergeAgents<T extends AgentStats & { readonly perSecond?: number }>(one: T, other: T): T {
  const handling =
    one.handling === undefined || other.handling === undefined
      ? (one.handling ?? other.handling)
      : mergeHandling(one.handling, other.handling)
  const waiting = mergeWaiting(one.waiting, other.waiting)
  return {
    ...one,
    received: one.received + other.received,
    processed: one.processed + other.processed,
    failed: one.failed + other.failed,
    retried: one.retried + other.retried,
    deadLettered: one.deadLettered + other.deadLettered,
    active: one.active + other.active,
    lag: one.lag + other.lag,
    ...(one.late === undefined && other.late === undefined ? {} : { late: (one.late ?? 0) + (other.late ?? 0) }),
    ...(waiting === undefined ? {} : { waiting }),
    ...(handling === undefined ? {} : { handling }),
    ...(one.perSecond === undefined ? {} : { perSecond: one.perSecond + (other.perSecond ?? 0) }),
  }
}

function mergeWaiting(one: AgentStats['waiting'], other: AgentStats['waiting']): AgentStats['waiting'] {
  if (one === undefined || other === undefined) return one ?? other
  // ISO texts sort as their times do.
  const [next] = [one.next, other.next].filter((time) => time !== undefined).sort()
  return { events: one.events + other.events, next }
}

function mergeHandling(one: HandlingTime, other: HandlingTime): HandlingTime {
  return {
    p50Ms: slowest(one.p50Ms, other.p50Ms),
    p99Ms: slowest(one.p99Ms, other.p99Ms),
    samples: one.samples + other.samples,
    longestInFlightMs: Math.max(one.longestInFlightMs, other.longestInFlightMs),
  }
}

function slowest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other)
}

/** Each process has all rows of a global table. */
function mergeTables(one: SiteTableStats, other: SiteTableStats): SiteTableStats {
  const isGlobal = one.kind === 'global'
  return {
    ...one,
    rows: isGlobal ? Math.max(one.rows, other.rows) : one.rows + other.rows,
    reads: one.reads + other.reads,
    writes: one.writes + other.writes,
    cachedBytes: one.cachedBytes + other.cachedBytes,
    late: one.late + other.late,
    partitions: [...new Set([...one.partitions, ...other.partitions])].sort((a, b) => a - b),
    recovery: {
      state:
        (['recovering', 'done', 'none'] as const).find((state) =>
          [one, other].some(({ recovery }) => recovery.state === state),
        ) ?? one.recovery.state,
      restoredRows: one.recovery.restoredRows + other.recovery.restoredRows,
      remainingRows: one.recovery.remainingRows + other.recovery.remainingRows,
      rowsPerSecond: one.recovery.rowsPerSecond + other.recovery.rowsPerSecond,
    },
    ...(one.expired === undefined ? {} : { expired: one.expired + (other.expired ?? 0) }),
    ...(one.timers === undefined || other.timers === undefined
      ? {}
      : {
          timers: {
            fired: one.timers.fired + other.timers.fired,
            next: earliest([one.timers.next, other.timers.next]),
          },
        }),
    ...(one.windows === undefined || other.windows === undefined
      ? {}
      : {
          windows: {
            ...one.windows,
            watermark: earliest([one.windows.watermark, other.windows.watermark]),
            open: one.windows.open + other.windows.open,
            closed: one.windows.closed + other.windows.closed,
            oldestOpen: earliest([one.windows.oldestOpen, other.windows.oldestOpen]),
          },
        }),
    ...(one.readsPerSecond === undefined ? {} : { readsPerSecond: one.readsPerSecond + (other.readsPerSecond ?? 0) }),
    ...(one.writesPerSecond === undefined
      ? {}
      : { writesPerSecond: one.writesPerSecond + (other.writesPerSecond ?? 0) }),
  }
}

function mergeJobs(one: SiteJobStats, other: SiteJobStats): SiteJobStats {
  const lastRun = latest([one.lastRun, other.lastRun])
  const ran = lastRun === other.lastRun ? other : one
  return {
    runs: one.runs + other.runs,
    failures: one.failures + other.failures,
    skipped: one.skipped + other.skipped,
    lastRun,
    nextRun: earliest([one.nextRun, other.nextRun]),
    lastError: ran.lastError ?? one.lastError ?? other.lastError,
  }
}

function mergeFlows<T extends FlowStats & { readonly perSecond?: number }>(flows: readonly T[]): readonly T[] {
  const merged = new Map<string, T>()
  for (const flow of flows) {
    const key = JSON.stringify([flow.from, flow.to])
    const known = merged.get(key)
    const { perSecond } = flow
    merged.set(
      key,
      known === undefined
        ? flow
        : {
            ...known,
            records: known.records + flow.records,
            ...(perSecond === undefined ? {} : { perSecond: perSecond + (known.perSecond ?? 0) }),
          },
    )
  }
  return [...merged.values()]
}

function mergeBuffers(buffers: readonly { readonly bytes: number; readonly full: boolean }[]): {
  readonly bytes: number
  readonly full: boolean
} {
  return { bytes: buffers.reduce((total, { bytes }) => total + bytes, 0), full: buffers.some(({ full }) => full) }
}

function newest(errors: readonly ErrorStats[]): readonly ErrorStats[] {
  return [...errors].sort((one, other) => (one.at < other.at ? 1 : -1)).slice(0, MOST_ERRORS)
}

/** Of ISO texts, whose order is that of the times. */
function latest(times: readonly (string | undefined)[]): string | undefined {
  return known(times).at(-1)
}

function earliest(times: readonly (string | undefined)[]): string | undefined {
  return known(times)[0]
}

function known(times: readonly (string | undefined)[]): readonly string[] {
  return times.filter((time) => time !== undefined).sort()
}

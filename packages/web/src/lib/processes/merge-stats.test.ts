import { expect, test } from 'vitest'
import type { SiteStats } from '../site-stats.ts'
import { mergeStats } from './merge-stats.ts'

function statsOf(pid: number, given: Partial<SiteStats>): SiteStats {
  return {
    app: 'shop',
    worker: {
      ...{ id: `w${pid}`, host: 'h', port: 6066, pid, version: '1', startedAt: '2026-01-01T00:00:00.000Z' },
      ...{ address: undefined, member: undefined },
    },
    broker: 'embedded:',
    guarantee: 'at-least-once',
    status: 'running',
    agents: {},
    tables: {},
    jobs: {},
    flows: [],
    sources: [],
    lag: 0,
    waitingFor: [],
    watermarks: [],
    commits: { count: 0, lastMs: 0, at: undefined },
    group: { state: 'member', forMs: 0, heartbeatAgeMs: undefined, leaseExpiredMs: 0 },
    brokers: [],
    opening: { tasks: 0, forMs: 0, isFirst: false },
    rebalances: 0,
    lastRebalance: undefined,
    sent: 0,
    clampedTimestamps: 0,
    brokenBatches: 0,
    errors: 0,
    errorsBySource: {},
    abortedTransactions: 0,
    lastErrors: [],
    pendingSends: { bytes: 0, full: false },
    delays: [],
    changedRows: { bytes: 0, full: false },
    ...given,
  }
}

const agent = { received: 3, processed: 2, failed: 1, retried: 1, deadLettered: 0, active: 1, lag: 5, concurrency: 2 }
const recovery = { state: 'done', restoredRows: 4, remainingRows: 0, rowsPerSecond: 0 } as const
const table = { rows: 4, reads: 1, writes: 2, cachedBytes: 10, late: 0, kind: 'table', recovery }

test('one process alone is shown as it is', () => {
  const stats = statsOf(1, { agents: { count: agent }, sent: 7 })
  expect(mergeStats(stats, [])).toEqual(stats)
})

test('counts are added, and lists joined', () => {
  const one = statsOf(1, { agents: { count: agent }, tables: { counts: { ...table, partitions: [2, 0] } }, sent: 7 })
  const other = statsOf(2, {
    agents: { count: { ...agent, processed: 40 }, late: agent },
    tables: { counts: { ...table, rows: 6, partitions: [1] } },
    flows: [{ from: 'topic:a', to: 'agent:count', records: 2 }],
    errorsBySource: { count: 2 },
    sent: 3,
  })
  expect(mergeStats(one, [other])).toMatchObject({
    worker: { pid: 1 },
    agents: { count: { received: 6, processed: 42, active: 2, lag: 10, concurrency: 2 }, late: agent },
    tables: { counts: { rows: 10, writes: 4, partitions: [0, 1, 2], recovery: { state: 'done', restoredRows: 8 } } },
    flows: [{ from: 'topic:a', to: 'agent:count', records: 2 }],
    errorsBySource: { count: 2 },
    sent: 10,
  })
})

test('every process has all rows of a global table', () => {
  const rates = { ...table, kind: 'global', rows: 9, partitions: [0] }
  const merged = mergeStats(statsOf(1, { tables: { rates } }), [statsOf(2, { tables: { rates } })])
  expect(merged.tables['rates']).toMatchObject({ rows: 9, partitions: [0] })
})

test.each([
  ['running', ['running', 'running']],
  ['recovering', ['running', 'recovering']],
  ['failed', ['stopping', 'failed', 'running']],
] as const)('the status is %s of %j', (expected, [own = 'running', ...others]) => {
  const merged = mergeStats(
    statsOf(0, { status: own }),
    others.map((status, at) => statsOf(at + 1, { status })),
  )
  expect(merged.status).toBe(expected)
})

test('of a job the last run anywhere counts, with its error', () => {
  const job = { runs: 2, failures: 1, skipped: 0, lastRun: undefined, nextRun: undefined, lastError: undefined }
  const early = { ...job, lastRun: '2026-01-01T10:00:00.000Z', lastError: 'early' }
  const late = {
    ...job,
    lastRun: '2026-01-01T11:00:00.000Z',
    nextRun: '2026-01-01T12:00:00.000Z',
    lastError: 'late',
  }
  const merged = mergeStats(statsOf(1, { jobs: { bill: late } }), [statsOf(2, { jobs: { bill: early } })])
  expect(merged.jobs['bill']).toEqual({ ...late, runs: 4, failures: 2 })
})

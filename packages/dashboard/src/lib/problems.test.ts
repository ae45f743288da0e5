import { expect, it } from 'vitest'
import type { SiteStats } from '@millrace/web'
import { smallSite } from './fixtures/small-site.fixture.ts'
import { problemsOf, type ProblemContext } from './problems.ts'

const plain: SiteStats = JSON.parse(await (await smallSite().get('/stats')).text())
const quiet: ProblemContext = { nowMs: 1_000_000, lagBefore: undefined, unassigned: [] }

function stats(changes: Partial<SiteStats> = {}): SiteStats {
  return { ...plain, ...changes }
}

function counter(changes: Partial<SiteStats['agents'][string]>): SiteStats['agents'] {
  const { counter: agent } = stats().agents
  if (agent === undefined) throw new Error('The worker has an agent.')
  return { counter: { ...agent, ...changes } }
}

it('reports nothing for a healthy worker', () => {
  expect(problemsOf(stats(), quiet)).toEqual([])
  expect(problemsOf(stats({ lag: 900 }), { ...quiet, lagBefore: 0 })).toEqual([])
  expect(problemsOf(stats({ lag: 50_000 }), { ...quiet, lagBefore: 60_000 })).toEqual([])
  // Half a second's work.
  expect(problemsOf(stats({ lag: 20_000, rates: { events: 40_000, sent: 0 } }), { ...quiet, lagBefore: 0 })).toEqual([])
})

it('names the cause of growing lag', () => {
  const handling = { p50Ms: 40.4, p99Ms: 90, samples: 100, longestInFlightMs: 0 }
  const behind = stats({ lag: 20_000, agents: counter({ lag: 20_000, handling }) })
  expect(problemsOf(behind, { ...quiet, lagBefore: 10_000 })).toEqual([
    {
      figure: 'lag',
      level: 'warn',
      node: 'agent:counter',
      text: 'Lag grows: `counter` is 20,000 records behind and takes 40 ms an event.',
    },
  ])
})

it('reports the time per event even if it is very short', () => {
  const handling = { p50Ms: 0.0047, p99Ms: 0.1, samples: 100, longestInFlightMs: 0 }
  const behind = stats({ lag: 90_000, agents: counter({ lag: 90_000, handling }) })
  expect(problemsOf(behind, { ...quiet, lagBefore: 0 })[0]?.text).toContain('takes 5 µs an event')
})

it('lists problems first that do not resolve themselves', () => {
  const handling = { p50Ms: undefined, p99Ms: undefined, samples: 0, longestInFlightMs: 45_000 }
  const at = { topic: 'posts', partition: 3, task: '4-3', position: 9, committed: 1, endOffset: 20, lag: 11 }
  const source = { ...at, stalledMs: 200_000, bufferedBytes: 0, skewed: 0, heldAgents: [], lags: {}, paused: undefined }
  const wrong = stats({
    agents: counter({ handling, deadLettered: 2 }),
    sources: [source, { ...source, partition: 4, stalledMs: 20_000 }],
    delays: [
      { topic: 'out', partition: 1, reason: 'No leader.', forMs: 130_000, overdue: true, tasks: ['4-1', '4-2'] },
      { topic: 'out', partition: 2, reason: 'No leader.', forMs: 100, overdue: false, tasks: ['4-1'] },
    ],
    pendingSends: { bytes: 1, full: true },
    changedRows: { bytes: 1, full: true },
    errorsInFiveMinutes: 1,
    lastErrors: [{ at: new Date(988_000).toISOString(), source: 'counter', message: 'No such word' }],
  })
  expect(
    problemsOf(wrong, { ...quiet, unassigned: ['8-1', '8-2'] }).map(({ level, figure, text }) => [level, figure, text]),
  ).toEqual([
    ['bad', 'events', '`counter` has had one event in flight for 45 s.'],
    ['bad', 'sent', 'Partition out/1 has accepted no records for 2 min: 2 tasks wait.'],
    ['bad', 'commit', 'Partition posts/3 and 1 more: fetched, but nothing committed for 3 min.'],
    ['bad', 'lag', '2 tasks are on no worker: none of them knows all its topics and tables.'],
    ['warn', 'errors', '`counter` has given up 2 events: see dead letters.'],
    ['warn', 'sent', 'The broker takes records more slowly than agents send them.'],
    ['warn', 'commit', 'Rows change faster than they are stored: agents wait for a commit. `cacheBytes` is the bound.'],
    ['warn', 'errors', 'counter, 12 s ago: No such word'],
  ])
})

it('names the event that holds back event time, once for all states that it holds, and no partition that only rests', () => {
  const place = { topic: 'posts', partition: 3, agent: 'counter', upstream: undefined, since: '2026-01-01T00:00:00Z' }
  const held = { ...place, reason: 'event', offset: 7, why: 'agent counter has not finished event posts/3@7' } as const
  const rest = { kind: 'state', partition: 3, task: '4-3', watermark: undefined, committed: undefined } as const
  const of = (name: string, forMs: number, reason: 'event' | 'end' = 'event'): SiteStats['watermarks'][number] => ({
    ...{ ...rest, name, behindMs: undefined, waitsFor: undefined, sources: [] },
    heldBy: { ...held, reason, forMs },
  })
  const watermarks = [of('minutes', 150_000), of('hours', 150_000), of('days', 30_000), of('quiet', 900_000, 'end')]
  expect(problemsOf(stats({ watermarks }), quiet)).toEqual([
    {
      figure: 'events',
      level: 'bad',
      node: 'agent:counter',
      text: 'Event time of `minutes`, `hours` stands still, so windows stay open: agent counter has not finished event posts/3@7, for 3 min.',
    },
  ])
})

import { manualClock } from '@millrace/core'
import type { SourceStats, WatermarkStats } from '@millrace/worker'
import { expect, test } from 'vitest'
import { smallGroup, smallSite, type SmallSite, type SmallSiteOptions } from '../fixtures/small-site.fixture.ts'
import { numberTable, type SmallTable, textTable } from '../fixtures/small-table.fixture.ts'
import { homeOf, jobNamed } from '../fixtures/small-worker.fixture.ts'

const PARTITIONS = 4

interface World extends SmallSite {
  readonly words: SmallTable<string>
  json(path: string): Promise<unknown>
}

function world(options: SmallSiteOptions = {}): World {
  const made: SmallTable<string>[] = []
  const small = smallSite({
    group: smallGroup(PARTITIONS),
    tables: (contexts) => {
      const words = textTable('words', contexts)
      made.push(words)
      return [words, numberTable('numbers', contexts)]
    },
    globalTables: [
      {
        name: 'rates',
        keyCodec: 'string',
        stats: () => ({ rows: 1, reads: 0, writes: 0, writers: {}, cachedBytes: 0, late: 0 }),
        lookup: (text) => (text === 'EUR' ? 1.5 : undefined),
      },
    ],
    ...options,
  })
  const [words] = made
  if (words === undefined) throw new Error('Created the table.')
  small.worker.listensAt = '10.0.0.1:6066'
  for (let partition = 0; partition < PARTITIONS; partition++) {
    small.worker.open.add(partition)
    small.worker.group.owners.set(partition, { member: 'worker-1', address: '10.0.0.1:6066' })
  }
  return { ...small, words, json: async (path) => (await small.get(path)).json() }
}

function sourceAt(at: Pick<SourceStats, 'position' | 'committed'>): SourceStats {
  const rest = {
    task: '4-2',
    bufferedBytes: 0,
    skewed: 0,
    stalledMs: 0,
    heldAgents: [],
    lags: {},
    lag: 0,
    paused: undefined,
  }
  return { topic: 'posts', partition: 2, endOffset: 10, ...rest, ...at }
}

/** Held back by an event that was handed out ten seconds ago. */
function heldWatermark(): WatermarkStats {
  const event = { topic: 'posts', partition: 2, agent: 'counter' }
  const watermark = new Date(60_000).toISOString()
  const since = new Date(90_000).toISOString()
  return {
    ...{ name: 'minutes', kind: 'state', partition: 2, task: '4-2', watermark, committed: watermark },
    ...{ behindMs: 40_000, waitsFor: undefined, sources: [{ ...event, watermark, idle: false }] },
    heldBy: {
      ...event,
      reason: 'event',
      offset: 3,
      upstream: undefined,
      since,
      forMs: 10_000,
      why: 'it has not finished',
    },
  }
}

test('/ is an index of all pages, including the app’s', async () => {
  const { site, json } = world()
  site.page('/mine/', (c) => c.text(''))
  const index = await json('/')
  expect(index).toMatchObject({ app: 'app', version: '1.2.3', worker: 'worker-1', status: 'running' })
  expect(index).toMatchObject({
    pages: expect.arrayContaining([
      {
        path: '/stats',
        methods: ['GET', 'HEAD', 'OPTIONS'],
        builtIn: true,
        open: false,
        help: expect.stringContaining('Statistics'),
      },
      { path: '/mine/', methods: ['GET', 'HEAD', 'OPTIONS'], builtIn: false, open: true },
    ]),
  })
})

test('/health/live is 200 in every state of the worker, /health/ready only when it runs', async () => {
  const { worker, workers, get } = world()
  expect((await get('/health/ready')).status).toBe(200)
  worker.opening = { tasks: 1, forMs: 0, isFirst: true }
  for (const status of ['starting', 'recovering', 'stopping', 'failed'] as const) {
    worker.status = status
    expect((await get('/health/live')).status).toBe(200)
    const ready = await get('/health/ready')
    expect([ready.status, ready.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await ready.json()).toEqual({ ready: false, status, reasons: [`The worker is ${status}.`] })
  }
  workers.length = 0
  expect((await get('/health/live')).status).toBe(200)
  expect((await get('/health/ready')).status).toBe(503)
})

test('a partition that stands still makes the worker not ready', async () => {
  const clock = manualClock()
  const { worker, get, json } = world({ clock })
  worker.sources = [sourceAt({ position: 3, committed: 3 })]
  expect((await get('/health/ready')).status).toBe(200)
  await clock.advance(300_001)
  expect(await json('/health/ready')).toEqual({
    ready: false,
    status: 'running',
    reasons: [expect.stringContaining('posts')],
  })
  worker.sources = [sourceAt({ position: 4, committed: 4 })]
  expect((await get('/health/ready')).status).toBe(200)
})

test('a partition that has accepted no records for longer than deliveryTimeout makes the worker not ready, and /stats names it', async () => {
  const { worker, get, json } = world()
  const delay = { topic: 'out', partition: 3, reason: 'No leader.', forMs: 400.4, tasks: ['8-1', '8-2'] }
  worker.delays = [{ ...delay, overdue: false }]
  expect((await get('/health/ready')).status).toBe(200)
  worker.delays = [{ ...delay, overdue: true }]
  expect(await json('/health/ready')).toEqual({
    ready: false,
    status: 'running',
    reasons: [
      'Partition out/3 has accepted no records for 400 ms (deliveryTimeout); waiting for it: 8-1, 8-2. No leader.',
    ],
  })
  expect(await json('/stats')).toMatchObject({ delays: [{ ...delay, overdue: true }] })
})

test('/stats has the documented shape', async () => {
  const { worker, json } = world()
  worker.listed = [
    jobNamed('daily', {
      runs: 2,
      failures: 1,
      skipped: 0,
      lastRun: { slot: new Date(1000), startedAt: new Date(1000), durationMs: 5, result: 'failed' },
      nextRun: new Date(2000),
      lastError: { message: 'no', slot: new Date(1000) },
    }),
  ]
  const recovery = { state: 'done', restoredRows: 7, remainingRows: 0, rowsPerSecond: 0 }
  const none = { state: 'none', restoredRows: 0, remainingRows: 0, rowsPerSecond: 0 }
  expect(await json('/stats')).toEqual({
    app: 'app',
    worker: {
      id: 'worker-1',
      host: '10.0.0.1',
      port: 6066,
      pid: process.pid,
      version: '1.2.3',
      startedAt: '2020-01-01T00:00:00.000Z',
      address: '10.0.0.1:6066',
      member: 'worker-1',
    },
    broker: 'memory:',
    guarantee: 'at-least-once',
    status: 'running',
    agents: {
      counter: { received: 5, processed: 4, failed: 1, retried: 1, deadLettered: 0, active: 1, lag: 9, concurrency: 1 },
    },
    tables: {
      words: {
        kind: 'table',
        rows: 0,
        partitions: [0, 1, 2, 3],
        reads: 3,
        writes: 2,
        cachedBytes: 10,
        late: 0,
        recovery,
      },
      numbers: {
        kind: 'table',
        rows: 0,
        partitions: [],
        reads: 3,
        writes: 2,
        cachedBytes: 10,
        late: 0,
        recovery: none,
      },
      rates: { kind: 'global', rows: 1, partitions: [], reads: 0, writes: 0, cachedBytes: 0, late: 0, recovery: none },
    },
    sources: [],
    flows: [],
    lag: 9,
    lastErrors: [],
    delays: [],
    waitingFor: [],
    watermarks: [],
    pendingSends: { bytes: 64, full: false },
    changedRows: { bytes: 32, full: false },
    jobs: {
      daily: {
        runs: 2,
        failures: 1,
        skipped: 0,
        lastRun: '1970-01-01T00:00:01.000Z',
        nextRun: '1970-01-01T00:00:02.000Z',
        lastError: 'no',
      },
    },
    commits: { count: 3, lastMs: 12 },
    group: { state: 'member', forMs: 60_000, heartbeatAgeMs: 500, leaseExpiredMs: 0 },
    brokers: [],
    opening: { tasks: 0, forMs: 0, isFirst: false },
    rebalances: 2,
    sent: 11,
    clampedTimestamps: 6,
    brokenBatches: 2,
    errors: 1,
    errorsBySource: { counter: 1 },
    abortedTransactions: 3,
  })
})

test('/table/ lists, /table/{name}/ describes, /table/{name}/{key}/ looks up', async () => {
  const { words, get, json } = world()
  words.put('milk', { count: 2 })
  const listed = {
    name: 'words',
    kind: 'table',
    help: 'a table',
    changelog: 'app-words-changelog',
    rows: 1,
    partitions: [0, 1, 2, 3],
  }
  expect(await json('/table/')).toEqual([
    listed,
    expect.objectContaining({ name: 'numbers' }),
    expect.objectContaining({ name: 'rates', kind: 'global', rows: 1 }),
  ])
  expect(await json('/table/words/')).toEqual(listed)
  expect(await json('/table/words/milk/')).toEqual({ count: 2 })
  expect(await json('/table/rates/EUR/')).toBe(1.5)
  for (const [path, status] of [
    ['/table/words/bread/', 404],
    ['/table/rates/USD/', 404],
    ['/table/rates/?jsonKey=%22USD%22', 404],
    ['/table/rates/?prefix=a', 400],
    ['/table/rates/?all=1', 400],
    ['/table/nothing/', 404],
    ['/table/nothing/milk/', 404],
    ['/table/__proto__/', 404],
    ['/table/numbers/many/', 400],
  ] as const) {
    const answer = await get(path)
    expect([path, answer.status, await answer.json()]).toEqual([path, status, { error: expect.any(String) }])
  }
})

test('/router/ shows owners, /router/{name}/{key}/ shows the owner of one key', async () => {
  const { worker, get, json } = world()
  worker.group.owners.set(1, { member: 'worker-2', address: '10.0.0.2:6066' })
  worker.group.owners.delete(2)
  const here = { member: 'worker-1', address: '10.0.0.1:6066', local: true }
  const places = [
    { partition: 0, ...here },
    { partition: 1, member: 'worker-2', address: '10.0.0.2:6066', local: false },
    { partition: 2, local: false },
    { partition: 3, ...here },
  ]
  expect(await json('/router/')).toEqual({ words: places, numbers: places })
  expect(await json('/router/words/')).toEqual(places)
  const keyIn = (partition: number): string =>
    Array.from({ length: 50 }, (_, n) => `k${n}`).find((key) => homeOf(key, PARTITIONS) === partition) ?? ''
  expect(await json(`/router/words/${keyIn(1)}/`)).toEqual({
    table: 'words',
    partition: 1,
    member: 'worker-2',
    address: '10.0.0.2:6066',
    local: false,
  })
  const unknown = await get(`/router/words/?key=${keyIn(2)}`)
  expect([unknown.status, unknown.headers.get('retry-after')]).toEqual([503, '1'])
  expect((await get('/router/nothing/')).status).toBe(404)
  expect((await get('/router/numbers/many/')).status).toBe(400)
})

test('/agent/{name}/pause/ and /resume/ act on the whole app, and say who asks', async () => {
  const { get, worker } = world()
  const post = (path: string): Promise<Response> =>
    get(path, { method: 'POST', headers: { 'millrace-action': 'test' } })
  const answers = [
    await post('/agent/count/pause/?by=ann&why=moving%20it'),
    await post('/agent/count/pause/'),
    await post('/agent/count/resume/'),
  ]
  expect(await Promise.all(answers.map((answer) => answer.json()))).toEqual([
    { result: 'paused' },
    { result: 'paused' },
    { result: 'resumed' },
  ])
  expect(worker.asked).toEqual([
    'pause agent count: ann, moving it',
    expect.stringMatching(/^pause agent count: this machine at \S+, undefined$/),
    'resume agent count',
  ])
  expect((await post('/agent/other/pause/')).status).toBe(404)
})

test('/assignment/, /graph/ and /jobs/ show their data', async () => {
  const { words, worker, json } = world()
  words.writers['counter'] = 2
  expect(await json('/assignment/')).toMatchObject({
    memberId: 'worker-1',
    tasks: expect.any(Array),
    group: { '4-0': { member: 'worker-1', address: '10.0.0.1:6066' } },
    unassigned: [],
  })
  expect(await json('/graph/')).toMatchObject({
    nodes: expect.arrayContaining([
      expect.objectContaining({ id: 'agent:counter' }),
      expect.objectContaining({ id: 'table:words' }),
    ]),
    edges: [
      { from: 'topic:posts', to: 'agent:counter' },
      { from: 'agent:counter', to: 'table:words' },
    ],
  })
  worker.listed = [jobNamed('daily', { nextRun: new Date(0) })]
  expect(await json('/jobs/')).toEqual([
    expect.objectContaining({ name: 'daily', runs: 0, failures: 0, skipped: 0, nextRun: '1970-01-01T00:00:00.000Z' }),
  ])
})

test('pages of a process without a worker report that it has none', async () => {
  const { workers, get } = world()
  workers.length = 0
  for (const path of ['/stats', '/jobs/', '/assignment/', '/router/', '/table/words/x/']) {
    const answer = await get(path)
    expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([path, 503, '1'])
  }
  for (const path of ['/', '/graph/', '/table/', '/metrics']) expect((await get(path)).status).toBe(200)
})

test('a table whose keys cannot be located gives an error', async () => {
  const { words, get } = world()
  const { MillraceError } = await import('@millrace/core')
  words.partitionOf = () => {
    throw new MillraceError('DEFINITION_INVALID', "Its partitioner is 'source'.")
  }
  expect((await get('/table/words/x/')).status).toBe(501)
  expect((await get('/router/words/x/')).status).toBe(501)
})

test('/metrics has a series for every statistic, in Prometheus format', async () => {
  const { worker, get } = world()
  worker.sources = [sourceAt({ position: 3, committed: undefined })]
  worker.memberOf = { ...worker.memberOf, heartbeatAgeMs: undefined }
  worker.listed = [
    jobNamed('daily', {
      runs: 2,
      failures: 1,
      skipped: 4,
      lastRun: { slot: new Date(1000), startedAt: new Date(1000), durationMs: 5, result: 'failed' },
      nextRun: undefined,
      lastError: { message: 'no', slot: new Date(1000) },
    }),
  ]
  worker.watermarks = [heldWatermark()]
  await get('/nowhere/')
  await get('/table/words/x/')
  const answer = await get('/metrics')
  expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4')
  const text = await answer.text()
  for (const line of [
    'millrace_info{app="app",worker="worker-1",version="1.2.3"} 1',
    'millrace_worker_status{status="running"} 1',
    'millrace_worker_status{status="stopping"} 0',
    'millrace_ready 1',
    'millrace_watermark_timestamp_seconds{name="minutes",kind="state",task="4-2"} 60',
    'millrace_watermark_held_seconds{name="minutes",kind="state",task="4-2",reason="event"} 10',
    'millrace_partition_skewed_timestamps_total{topic="posts",partition="2"} 0',
    'millrace_agent_events_received_total{agent="counter"} 5',
    'millrace_agent_lag{agent="counter"} 9',
    'millrace_agent_event_duration_seconds_bucket{agent="counter",le="0.0025"} 0',
    'millrace_agent_event_duration_seconds_bucket{agent="counter",le="0.005"} 1',
    'millrace_agent_event_duration_seconds_bucket{agent="counter",le="+Inf"} 1',
    'millrace_agent_event_duration_seconds_sum{agent="counter"} 0.003',
    'millrace_agent_event_duration_seconds_count{agent="counter"} 1',
    'millrace_agent_event_latency_seconds_sum{agent="counter"} 0.07',
    'millrace_commit_duration_seconds_bucket{le="0.025"} 1',
    'millrace_commit_duration_seconds_count 1',
    'millrace_table_writes_total{table="words"} 2',
    'millrace_table_partitions{table="words"} 4',
    'millrace_job_skipped_total{job="daily"} 4',
    'millrace_job_last_run_timestamp_seconds{job="daily"} 1',
    'millrace_partition_end_offset{topic="posts",partition="2"} 10',
    'millrace_commit_last_duration_seconds 0.012',
    'millrace_records_sent_total 11',
    'millrace_http_request_duration_seconds_count{method="GET",page="none",status="404"} 1',
    'millrace_http_request_duration_seconds_count{method="GET",page="/table/:name/:key/",status="404"} 1',
    'millrace_http_requests_active 1',
  ])
    expect(text).toContain(`${line}\n`)
  // Unknown numbers have no series: 0 would be a claim.
  for (const none of ['partition_committed_offset', 'job_next_run_timestamp_seconds', 'heartbeat_age_seconds'])
    expect(text).not.toMatch(new RegExp(`^millrace_${none}`, 'm'))
  expect(text).not.toContain('nowhere')
  expect(text).toContain('process_resident_memory_bytes')
  // Every name once, with its help text.
  const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
  expect(new Set(types).size).toBe(types.length)
  expect(await (await get('/metrics')).text()).toContain(
    'millrace_http_request_duration_seconds_sum{method="GET",page="/metrics",status="200"}',
  )
})

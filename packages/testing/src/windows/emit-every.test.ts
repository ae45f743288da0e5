import { createApp, type WindowedResults } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const EVERY = 1050
/** Clicks come on full tenths of a second, so none comes while results are released. */
const TENTH = 100

interface Click {
  readonly key: string
  readonly at: number
  /** Tenths of a second until the next one, by the clock. */
  readonly wait: number
}

interface Emits {
  /** Whether closed windows are read, too. */
  readonly withClose: boolean
}

interface Spans {
  readonly size: number
  readonly every: number
  readonly grace: number
}

interface Outcome {
  /** `{key} {start} {count} {time of the release}`, sorted. */
  readonly updates: readonly string[]
  /** `{key} {start} {count}`, sorted. */
  readonly closed: readonly string[]
}

/**
 * By brute force, from the order of the one partition and the clock alone. `from`: when the first click comes; `withClose`:
 * results of windows that have closed are not released.
 */
function expected(clicks: readonly Click[], spans: Spans, { from, withClose }: Emits & { from: number }): Outcome {
  const { size, every, grace } = spans
  const counts = new Map<string, number>()
  const updates: string[] = []
  const due = new Map<string, { readonly at: number; readonly starts: Set<number> }>()
  let highest = 0
  const isClosed = (start: number): boolean => start + size + grace <= highest
  const release = (until: number): void => {
    for (const [key, { at, starts }] of due) {
      if (at > until) continue
      due.delete(key)
      for (const start of starts)
        if (!withClose || !isClosed(start)) updates.push(`${key} ${start} ${counts.get(`${key} ${start}`)} ${at}`)
    }
  }
  let now = from
  for (const { key, at, wait } of clicks) {
    release(now)
    highest = Math.max(highest, at)
    for (let start = 0; start <= at; start += every) {
      if (start + size <= at || isClosed(start)) continue
      counts.set(`${key} ${start}`, (counts.get(`${key} ${start}`) ?? 0) + 1)
      const held = due.get(key) ?? { at: now + EVERY, starts: new Set() }
      due.set(key, held)
      held.starts.add(start)
    }
    now += wait * TENTH
  }
  release(Infinity)
  const closed = withClose ? [...counts].filter(([name]) => isClosed(Number(name.split(' ')[1]))) : []
  return { updates: updates.toSorted(), closed: closed.map((each) => each.join(' ')).toSorted() }
}

const clicks = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    at: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 300 })),
    wait: fc.integer({ min: 1, max: 8 }),
  }),
  { minLength: 1, maxLength: 40 },
)
const spans = fc
  .record({ every: fc.integer({ min: 10, max: 30 }), more: fc.nat({ max: 40 }), grace: fc.nat({ max: 40 }) })
  .map(({ every, more, grace }) => ({ every, size: every + more, grace }))

function everyApp(spans: Spans, { processingGuarantee, concurrency, withClose }: Emits & How) {
  const { size, every, grace } = spans
  const app = createApp({ id: 'every', processingGuarantee, idleAfter: false, commitInterval: '50ms' })
  const clicks = app.topic('clicks', { key: 'string', value: 'number', partitions: 1, timestamp: (at) => at })
  const screen = app.topic('screen', { key: 'string', value: 'string', partitions: 1 })
  const failed = new Set<string>()
  let attempts = 0
  app.agent(
    'count',
    clicks,
    async (stream) => {
      const windows = size === every ? stream.tumbling(size, { grace }) : stream.hopping(size, every, { grace })
      const counts = windows.count()
      const soon = counts.emit({ every: EVERY }).map((result) => ({ ...result, isFinal: false }))
      const both = withClose ? soon.merge(counts.emit('close').map((result) => ({ ...result, isFinal: true }))) : soon
      for await (const event of both.events()) {
        const { key, window, value, isFinal } = event.value
        const result = `${key} ${window.start} ${value}`
        await screen.send({ key, value: isFinal ? `closed ${result}` : `${result} ${event.timestamp}` })
        const name = `${result} ${event.timestamp}`
        if (++attempts % 5 > 0 || failed.has(name)) continue
        failed.add(name)
        throw new Error('Once.')
      }
    },
    { concurrency, onError: { retry: 100, backoff: '1ms', maxBackoff: '2ms', then: 'stop' } },
  )
  return { app, clicks, screen }
}

interface How {
  readonly processingGuarantee: 'at-least-once' | 'exactly-once'
  readonly concurrency: number
}

test.each([
  { processingGuarantee: 'at-least-once', concurrency: 1, withClose: false },
  { processingGuarantee: 'at-least-once', concurrency: 4, withClose: true },
  { processingGuarantee: 'exactly-once', concurrency: 1, withClose: true },
  { processingGuarantee: 'exactly-once', concurrency: 4, withClose: false },
] as const)('each key gives its last results once a period, and none of a closed window: %o', async (how) => {
  await fc.assert(
    fc.asyncProperty(clicks, spans, fc.nat({ max: 40 }), async (all, given, restartAfter) => {
      const { app, clicks, screen } = everyApp(given, how)
      await using t = await testApp(app)
      const from = t.clock.now()
      for (const [n, { key, at, wait }] of all.entries()) {
        if (n === restartAfter) {
          // A clean stop, so that at least once, too, everything is there once.
          for (const worker of t.all) await worker.stop()
          await t.worker()
        }
        await t.send(clicks, { key, value: at })
        await t.settle()
        await t.clock.advance(wait * TENTH)
      }
      await t.clock.advance('3s')
      const sent = t.sent(screen).map(({ value }) => value ?? '')
      const closed = sent.flatMap((text) => (text.startsWith('closed ') ? text.slice('closed '.length) : []))
      const updates = sent.filter((text) => !text.startsWith('closed '))
      expect({ updates: updates.toSorted(), closed: closed.toSorted() }).toEqual(expected(all, given, { ...how, from }))
      for (const window of closed) {
        const [key, start] = window.split(' ')
        expect(sent.findLastIndex((text) => text.startsWith(`${key} ${start} `))).toBeLessThan(
          sent.indexOf(`closed ${window}`),
        )
      }
    }),
    { numRuns: Number(process.env['WINDOW_RUNS'] ?? 6) },
  )
})

test.each(['at-least-once', 'exactly-once'] as const)(
  'no last result is lost, and none comes too soon, while workers are killed, come and go: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'moving', processingGuarantee, idleAfter: false, commitInterval: '100ms' })
    const clicks = app.topic('clicks', { key: 'string', value: 'string', partitions: 3 })
    const screen = app.topic('screen', { key: 'string', value: 'number', partitions: 1 })
    app.agent('count', clicks, async (stream) => {
      const counts = stream.groupBy((page) => page).tumbling('1h')
      await counts
        .count()
        .emit({ every: '10s' })
        .map(({ value }) => value)
        .to(screen)
    })
    await using t = await testApp(app)
    const pages = ['a', 'b', 'c', 'd', 'e']
    const rounds = 8
    for (let round = 0; round < rounds; round++) {
      for (const page of pages) await t.send(clicks, { key: String(round), value: page, timestamp: 1000 })
      await t.advance('4s')
      if (round % 3 === 0) await t.worker()
      else if (round % 3 === 1) await t.all[0]?.kill()
      else await t.all[0]?.stop()
      if (t.all.length === 0) await t.worker()
    }
    await t.advance('3m')
    for (const page of pages) {
      const sent = t.sent(screen).filter(({ key }) => key === page)
      const last = sent.at(-1)?.value ?? 0
      if (processingGuarantee === 'exactly-once') expect(last).toBe(rounds)
      else expect(last).toBeGreaterThanOrEqual(rounds)
      expect(sent.length).toBeGreaterThan(1)
      if (processingGuarantee === 'exactly-once')
        sent.slice(1).forEach(({ timestamp }, n) => {
          expect(timestamp - (sent[n]?.timestamp ?? 0)).toBeGreaterThanOrEqual(10_000)
        })
    }
  },
)

test('a held session gives way to the one that it has become a part of', async () => {
  const app = createApp({ id: 'sessions', idleAfter: false })
  const visits = app.topic('visits', { key: 'string', value: 'string', partitions: 1 })
  const seen: string[] = []
  app.agent('pages', visits, async (stream) => {
    const pages = stream.session('10s', { grace: '1m' }).aggregate({
      init: () => '',
      add: (all, page) => all + page,
      merge: (earlier, later) => earlier + later,
    })
    for await (const { window, value } of pages.emit({ every: '10s' }))
      seen.push(`${window.start}-${window.end} ${value}`)
  })
  await using t = await testApp(app)
  for (const [page, timestamp] of [
    ['a', 1000],
    ['b', 15_000],
    ['c', 40_000],
    ['d', 8000],
  ] as const)
    await t.send(visits, { key: 'v', value: page, timestamp })
  await t.settle()
  await t.clock.advance('10s')
  expect(seen).toEqual(['1000-15000 abd', '40000-40000 c'])
})

test('sliding windows give their last results, of those too that an event has made and is not in', async () => {
  const app = createApp({ id: 'sliding', idleAfter: false })
  const visits = app.topic('visits', { key: 'string', value: 'string', partitions: 1 })
  const seen: string[] = []
  app.agent('pages', visits, async (stream) => {
    const counts = stream.sliding('10s', { grace: '1m' }).count()
    for await (const { window, value } of counts.emit({ every: '10s' }))
      seen.push(`${window.start}-${window.end} ${value}`)
  })
  await using t = await testApp(app)
  for (const timestamp of [20_000, 25_000]) await t.send(visits, { key: 'v', value: 'a', timestamp })
  await t.settle()
  await t.clock.advance('10s')
  expect(seen).toEqual(['10000-20000 1', '15000-25000 2', '20001-30001 1'])
})

type Results = WindowedResults<string, number>

test.each([
  ['SUPPRESS_INVALID', 'must be longer', (results: Results) => results.emit({ every: 0 })],
  ['SUPPRESS_INVALID', 'every of emit', (results: Results) => results.emit({ every: 'soon' as '1s' })],
  ['DEFINITION_INVALID', "'update', 'close' or", (results: Results) => results.emit('often' as 'close')],
  ['DEFINITION_INVALID', 'after', (results: Results) => results.emit({ every: '1s', after: '2s' } as { every: '1s' })],
  [
    'DEFINITION_INVALID',
    'twice',
    (results: Results) => results.emit({ every: '1s' }).merge(results.emit({ every: '2s' })),
  ],
])('%s at start for a wrong emit: %s', async (code, message, use) => {
  const app = createApp({ id: 'wrong', idleAfter: false })
  const visits = app.topic('visits', { key: 'string', value: 'string' })
  app.agent('wrong', visits, async (stream) => {
    for await (const _ of use(stream.tumbling('1m').count()));
  })
  await expect(testApp(app)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
})

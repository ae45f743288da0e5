import { createApp, json } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000

interface Visit {
  readonly page: string
  readonly ms: number
}

test.each(['at-least-once', 'exactly-once'] as const)(
  'a grouped stream is counted by windows, and gives each window when it closes: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'visits', processingGuarantee, idleAfter: false })
    const visits = app.topic('visits', { key: 'string', value: json<Visit>(), partitions: 1 })
    const totals = app.topic('totals', { key: 'string', value: 'json', partitions: 1 })
    const late = app.topic('late-visits', { key: 'string', value: 'json', partitions: 1 })
    app.agent('per-minute', visits, async (stream) => {
      const counts = stream
        .groupBy(({ page }) => page)
        .tumbling('1m', { grace: '10s', late })
        .count()
      for await (const { key, window, value } of counts.emit('close'))
        await totals.send({ key, value: { ...window, value } })
    })
    await using t = await testApp(app)
    const send = (page: string, timestamp: number) => t.send(visits, { key: 'v', value: { page, ms: 5 }, timestamp })
    await send('a', 1000)
    await send('a', 2000)
    await send('b', 3000)
    await send('a', MINUTE + 10_000)
    await send('a', 4000)
    await t.settle()
    await t.clock.advance('5s')
    expect(t.sent(totals).map(({ key, value, timestamp }) => [key, value, timestamp])).toEqual([
      ['a', { start: 0, end: MINUTE, value: 2 }, MINUTE - 1],
      ['b', { start: 0, end: MINUTE, value: 1 }, MINUTE - 1],
    ])
    expect(t.sent(late).map(({ key, value }) => [key, value])).toEqual([['a', { page: 'a', ms: 5 }]])
    const page = await t.fetch('/table/per-minute-tumbling-1m/a/')
    expect(await page.json()).toEqual([
      { start: 0, end: MINUTE, value: 2 },
      { start: MINUTE, end: 2 * MINUTE, value: 1 },
    ])
    expect(await (await t.fetch('/stats')).json()).toMatchObject({
      tables: { 'per-minute-tumbling-1m': { kind: 'windowed', late: 1, windows: { open: 1, closed: 2 } } },
    })
    for (const worker of t.all) await worker.kill()
    await t.worker()
    await send('c', 3 * MINUTE)
    await t.settle()
    await t.clock.advance('5s')
    expect(t.sent(totals)).toHaveLength(3)
  },
)

test('each event gives a result for each of its windows, and a failing loop changes none twice', async () => {
  const app = createApp({ id: 'visits', idleAfter: false })
  const visits = app.topic('visits', { key: 'string', value: json<Visit>(), partitions: 2 })
  const seen: string[] = []
  let failures = 0
  app.agent('sums', visits, async (stream) => {
    const sums = stream
      .tumbling('10s', { name: 'spans' })
      .aggregate({ init: () => 0, add: (sum, { ms }) => sum + ms })
      .filter(({ value }) => value > 1)
    for await (const { key, window, value } of sums) {
      if (failures++ === 0) throw new Error('Once.')
      seen.push(`${key} ${window.start} ${value}`)
    }
  })
  app.agent('longest', visits, async (stream) => {
    const longest = stream.hopping('20s', '10s').reduce((a, b) => (a.ms > b.ms ? a : b))
    for await (const { key, window, value } of longest) seen.push(`${key} ${window.start}-${window.end} ${value.page}`)
  })
  await using t = await testApp(app)
  const send = (page: string, ms: number, timestamp: number) =>
    t.send(visits, { key: 'v', value: { page, ms }, timestamp })
  await send('a', 1, 10_000)
  await send('b', 4, 12_000)
  await send('c', 3, 21_000)
  await t.settle()
  await t.clock.advance('5s')
  expect(seen.toSorted()).toEqual([
    'v 0-20000 a',
    'v 0-20000 b',
    'v 10000 5',
    'v 10000-30000 a',
    'v 10000-30000 b',
    'v 10000-30000 b',
    'v 20000 3',
    'v 20000-40000 c',
  ])
})

test('a stream is aggregated by sessions, and an event between two sessions merges them', async () => {
  const app = createApp({ id: 'visits', idleAfter: false })
  const visits = app.topic('visits', { key: 'string', value: json<Visit>(), partitions: 1 })
  const seen: string[] = []
  app.agent('sessions', visits, async (stream) => {
    const pages = stream.session('30m', { grace: '1h' }).aggregate({
      init: (): readonly string[] => [],
      add: (all, { page }) => [...all, page],
      merge: (earlier, later) => [...earlier, ...later],
    })
    for await (const { key, window, value } of pages.emit('close'))
      seen.push(`${key} ${window.start / MINUTE}-${window.end / MINUTE} ${value.join('')}`)
  })
  app.agent('longest', visits, async (stream) => {
    const longest = stream.session('30m').reduce((a, b) => (a.ms > b.ms ? a : b))
    for await (const { value } of longest.emit('close')) seen.push(`longest ${value.page}`)
  })
  await using t = await testApp(app)
  const send = (page: string, ms: number, minute: number) =>
    t.send(visits, { key: 'v', value: { page, ms }, timestamp: minute * MINUTE })
  await send('a', 1, 0)
  await send('b', 3, 50)
  await send('c', 2, 25)
  await send('d', 2, 200)
  await t.settle()
  await t.clock.advance('5s')
  expect(seen.toSorted()).toEqual(['longest a', 'longest b', 'v 0-50 abc'])
})

test.each([
  ['WINDOW_INVALID', 'size', (s: Windowed) => s.tumbling('0s').count()],
  ['WINDOW_INVALID', 'grace', (s: Windowed) => s.tumbling('1m', { grace: -1 }).count()],
  ['DEFINITION_INVALID', 'no add', (s: Windowed) => s.tumbling('1m').aggregate({ init: () => 0 } as never)],
  ['DEFINITION_INVALID', 'twice', (s: Windowed) => [s.tumbling('1m').count(), s.tumbling('1m').count()]],
  ['WINDOW_INVALID', 'gap', (s: Windowed) => s.session('soon').count()],
  [
    'DEFINITION_INVALID',
    'no merge',
    (s: Windowed) => s.session('1m').aggregate({ init: () => 0, add: () => 1 } as never),
  ],
  ['NAME_TAKEN', 'another table', (s: Windowed) => s.tumbling('1m', { name: 'counts' }).count()],
])('%s at start: %s', async (code, _, use) => {
  const app = createApp({ id: 'wrong', idleAfter: false })
  app.table('counts', { key: 'string', value: 'number' })
  const visits = app.topic('visits', { key: 'string', value: json<Visit>() })
  app.agent('wrong', visits, async (stream) => {
    use(stream)
    for await (const _ of stream);
  })
  await expect(testApp(app)).rejects.toMatchObject({ code })
})

interface Windowed {
  tumbling(size: unknown, options?: object): { count(): unknown; aggregate(how: never): unknown }
  session(gap: unknown, options?: object): { count(): unknown; aggregate(how: never): unknown }
}

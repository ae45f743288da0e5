import { createApp, type Duration } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000

function visitsApp(options: { readonly grace?: Duration; readonly retention?: Duration } = {}) {
  const app = createApp({ id: 'visits', idleAfter: false })
  const clicks = app.topic('clicks', { key: 'string', value: 'string', partitions: 1 })
  const late = app.topic('late-clicks', { key: 'string', value: 'string', partitions: 1 })
  const visits = app.table('visits', { key: 'string', value: 'number', default: () => 0 }).session('30m', {
    merge: (a, b) => a + b,
    late,
    grace: options.grace ?? '0s',
    retention: options.retention ?? '1d',
  })
  const closed: string[] = []
  const taken: number[] = []
  app.agent('count', clicks, async (stream) => {
    for await (const { key } of stream.events()) taken.push(visits.update(key, (n) => n + 1))
  })
  app.agent('closed', visits.closed, async (stream) => {
    for await (const event of stream.events()) {
      const { key, window, value } = event.value
      closed.push(`${key} ${window.start / MINUTE}-${window.end / MINUTE} ${value} at ${event.timestamp / MINUTE}`)
    }
  })
  return { app, clicks, late, visits, closed, taken }
}

test('a session ends with its last event and closes after the gap; an event between two sessions merges them', async () => {
  const { app, clicks, late, visits, closed, taken } = visitsApp()
  await using t = await testApp(app)
  const send = (key: string, minute: number) => t.send(clicks, { key, value: 'x', timestamp: minute * MINUTE })
  await send('a', 0)
  await send('a', 30)
  await send('b', 45)
  await t.settle()
  expect(visits.get('a').windows()).toEqual([{ start: 0, end: 30 * MINUTE, value: 2 }])
  // The gap is part of the session: 60 would still belong to it.
  await send('b', 60)
  await t.settle()
  expect(closed).toEqual([])
  await send('c', 61)
  await send('a', 20)
  await t.settle()
  expect(closed).toEqual(['a 0-30 2 at 30'])
  expect(t.sent(late)).toMatchObject([{ key: 'a', headers: { 'millrace-window': `${20 * MINUTE}/${20 * MINUTE}` } }])
  expect(visits.stats()).toMatchObject({ late: 1, windows: { open: 2, closed: 1 } })
  await send('d', 80)
  await send('d', 150)
  await t.settle()
  expect(closed.slice(1)).toEqual(['b 45-60 2 at 60', 'c 61-61 1 at 61', 'd 80-80 1 at 80'])
  expect(taken).toEqual([1, 1, 1, 1, 1, 0, 1, 1])
  const page = async (query: string) => (await t.fetch(`/table/visits-session-30m/a/${query}`)).json()
  expect(await page('')).toEqual([{ start: 0, end: 30 * MINUTE, value: 2 }])
  expect(await page(`?at=${50 * MINUTE}`)).toEqual({ start: 0, end: 30 * MINUTE, value: 2 })
  expect(visits.get('a').at(10 * MINUTE)).toBe(2)
  expect(visits.get('nobody').current()).toBe(0)
  const rows: string[] = []
  for await (const [key, { start, end, value }] of visits.entries()) rows.push(`${key} ${start}-${end} ${value}`)
  expect(rows).toHaveLength(5)
})

test('a merge that takes any number of values gets two', async () => {
  const app = createApp({ id: 'visits', idleAfter: false })
  const clicks = app.topic('clicks', { key: 'string', value: 'number', partitions: 1 })
  const merged: number[][] = []
  const visits = app.table('visits', { key: 'string', value: 'number', default: () => 0 }).session('30m', {
    grace: '1h',
    merge: (...values: number[]) => {
      merged.push(values)
      return Math.max(...values)
    },
  })
  app.agent('highest', clicks, async (stream) => {
    for await (const { key, value } of stream.events()) visits.update(key, (highest) => Math.max(highest, value))
  })
  await using t = await testApp(app)
  for (const [value, minute] of [
    [5, 0],
    [7, 60],
    [6, 30],
  ] as const)
    await t.send(clicks, { key: 'a', value, timestamp: minute * MINUTE })
  await t.settle()
  expect(merged).toEqual([[5, 7]])
})

test('an event between two sessions merges them, even if one of them is still open', async () => {
  const { app, clicks, visits, closed } = visitsApp({ grace: '1h' })
  await using t = await testApp(app)
  const send = (minute: number) => t.send(clicks, { key: 'a', value: 'x', timestamp: minute * MINUTE })
  for (const minute of [0, 50, 45, 25]) await send(minute)
  await t.settle()
  expect(visits.get('a').windows()).toEqual([{ start: 0, end: 50 * MINUTE, value: 4 }])
  for (const minute of [70, 90, 110, 130, 150, 170, 190]) await send(minute)
  await t.settle()
  await t.clock.advance('5s')
  expect(closed).toEqual([])
  await send(281)
  await t.settle()
  await t.clock.advance('5s')
  expect(closed).toEqual(['a 0-190 11 at 190'])
})

test('sessions expire after their retention, and a restart closes none twice', async () => {
  const { app, clicks, visits, closed } = visitsApp({ retention: '2h' })
  await using t = await testApp(app)
  const send = (key: string, minute: number) => t.send(clicks, { key, value: 'x', timestamp: minute * MINUTE })
  await send('a', 0)
  await send('b', 10)
  await send('b', 35)
  await send('c', 100)
  await t.settle()
  await t.clock.advance('5s')
  expect(closed).toHaveLength(2)
  for (const worker of t.all) await worker.kill()
  await t.worker()
  await send('d', 130)
  await t.settle()
  await t.clock.advance('5s')
  expect(visits.get('a').windows()).toEqual([])
  expect(visits.get('b').windows()).toHaveLength(1)
  await send('d', 400)
  await t.settle()
  for (let n = 0; n < 3; n++) await t.clock.advance('5s')
  expect(closed).toHaveLength(4)
  // What is left: the row of d, and the row by time that leads to it.
  expect(visits.stats().rows).toBe(2)
})

test('a fraction of a millisecond is cut off, and its session closes', async () => {
  const { app, clicks, closed } = visitsApp()
  await using t = await testApp(app)
  await t.send(clicks, { key: 'a', value: 'x', timestamp: 1000.75 })
  await t.send(clicks, { key: 'a', value: 'x', timestamp: 60 * MINUTE })
  await t.settle()
  expect(closed).toEqual([`a ${1000 / MINUTE}-${1000 / MINUTE} 1 at ${1000 / MINUTE}`])
})

interface Click {
  readonly key: string
  readonly at: number
}

/** By brute force: groups of events, in the order of the one partition. */
function expected(clicks: readonly Click[], gap: number, grace: number) {
  let groups: { key: string; times: number[] }[] = []
  let late = 0
  clicks.forEach(({ key, at }, n) => {
    const highest = Math.max(...clicks.slice(0, n + 1).map((click) => click.at))
    const isOpen = (times: readonly number[]): boolean => highest <= Math.max(...times) + gap + grace
    const joined = groups.filter(
      (group) => group.key === key && isOpen(group.times) && group.times.some((time) => Math.abs(time - at) <= gap),
    )
    const times = [...joined.flatMap((group) => group.times), at]
    if (!isOpen(times)) late++
    else groups = [...groups.filter((group) => !joined.includes(group)), { key, times }]
  })
  const end = Math.max(...clicks.map(({ at }) => at))
  const show = ({ key, times }: { key: string; times: number[] }): string =>
    `${key} ${Math.min(...times)}-${Math.max(...times)} ${times.length}`
  return {
    sessions: groups.map(show).toSorted(),
    closed: groups
      .filter(({ times }) => end > Math.max(...times) + gap + grace)
      .map(show)
      .toSorted(),
    late,
  }
}

const clicks = fc.array(
  fc.record({ key: fc.constantFrom('a', 'b', 'c'), at: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 300 })) }),
  { minLength: 1, maxLength: 40 },
)

test.each([
  ['at-least-once', 1],
  ['at-least-once', 4],
  ['exactly-once', 1],
  ['exactly-once', 4],
] as const)(
  'sessions, closed ones and late events are what brute force says: %s, %d instances, handlers that fail, restarts',
  async (processingGuarantee, concurrency) => {
    await fc.assert(
      fc.asyncProperty(
        clicks,
        fc.integer({ min: 1, max: 40 }),
        fc.nat({ max: 40 }),
        fc.nat({ max: 40 }),
        async (all, gap, grace, restartAfter) => {
          const app = createApp({ id: 'oracle', processingGuarantee, idleAfter: false })
          const topic = app.topic('clicks', { key: 'string', value: 'number', partitions: 1, timestamp: (at) => at })
          const table = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
          const closed: string[] = []
          const view = table.session(gap, {
            grace,
            merge: (a, b) => a + b,
            onWindowClose: ({ key, window, value }) =>
              void closed.push(`${key} ${window.start}-${window.end} ${value}`),
          })
          let attempts = 0
          app.agent(
            'count',
            topic,
            async (stream) => {
              for await (const { key } of stream.events()) {
                view.update(key, (n) => n + 1)
                if (++attempts % 7 === 0) throw new Error('Once in a while.')
              }
            },
            { concurrency, onError: { retry: 100, backoff: '1ms', maxBackoff: '5ms', then: 'stop' } },
          )
          await using t = await testApp(app)
          const send = async (some: readonly Click[]): Promise<void> => {
            for (const { key, at } of some) await t.send(topic, { key, value: at })
            await t.settle()
            await t.clock.advance('3s')
          }
          await send(all.slice(0, restartAfter))
          for (const worker of t.all) await worker.stop()
          await t.worker()
          await send(all.slice(restartAfter))
          const sessions: string[] = []
          for await (const [key, { start, end, value }] of view.entries())
            sessions.push(`${key} ${start}-${end} ${value}`)
          expect({ sessions: sessions.toSorted(), closed: closed.toSorted(), late: view.stats().late }).toEqual(
            expected(all, gap, grace),
          )
        },
      ),
      { numRuns: Number(process.env['WINDOW_RUNS'] ?? 8) },
    )
  },
)

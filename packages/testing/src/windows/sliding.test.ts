import { createApp } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

interface Click {
  readonly key: string
  readonly at: number
}

interface Spans {
  readonly difference: number
  readonly grace: number
}

/** By brute force: the windows that the accepted events have, and the events in each, in the order in which they came. */
function expected(clicks: readonly Click[], { difference, grace }: Spans) {
  const accepted: (Click & { readonly nth: number })[] = []
  let late = 0
  clicks.forEach(({ key, at }, nth) => {
    const highest = Math.max(...clicks.slice(0, nth + 1).map((click) => click.at))
    if (Math.max(at, difference) + grace < highest) late++
    else accepted.push({ key, at, nth })
  })
  const windows = new Map<string, string>()
  const end = Math.max(...clicks.map(({ at }) => at))
  const closed: string[] = []
  for (const { key, at } of accepted)
    for (const start of [Math.max(0, at - difference), at + 1]) {
      const inside = accepted.filter((one) => one.key === key && one.at >= start && one.at <= start + difference)
      const name = `${key} ${start}-${start + difference}`
      if (inside.length === 0 || windows.has(name)) continue
      const value = inside
        .map(({ nth }) => nth)
        .toSorted((a, b) => a - b)
        .join()
      windows.set(name, value)
      if (start + difference + grace < end) closed.push(`${name} ${value}`)
    }
  return {
    windows: [...windows].map(([name, value]) => `${name} ${value}`).toSorted(),
    closed: closed.toSorted(),
    late,
  }
}

const clicks = fc.array(
  fc.record({ key: fc.constantFrom('a', 'b'), at: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 300 })) }),
  { minLength: 1, maxLength: 40 },
)
const spans = fc.record({ difference: fc.integer({ min: 1, max: 40 }), grace: fc.nat({ max: 80 }) })

function slidingApp(guarantee: 'at-least-once' | 'exactly-once', { difference, grace }: Spans, concurrency = 1) {
  const app = createApp({ id: 'oracle', processingGuarantee: guarantee, idleAfter: false })
  const topic = app.topic('clicks', { key: 'string', value: 'json', partitions: 1 })
  const closed: string[] = []
  const view = app.table('seen', { key: 'string', value: 'string', default: () => '' }).sliding(difference, {
    grace,
    onWindowClose: ({ key, window, value }) => void closed.push(`${key} ${window.start}-${window.end} ${value}`),
  })
  let attempts = 0
  app.agent(
    'see',
    topic,
    async (stream) => {
      for await (const { key, value } of stream.events()) {
        view.update(key, (seen) => (seen === '' ? String(value) : `${seen},${String(value)}`))
        if (++attempts % 7 === 0) throw new Error('Once in a while.')
      }
    },
    { concurrency, onError: { retry: 100, backoff: '1ms', maxBackoff: '5ms', then: 'stop' } },
  )
  return { app, topic, closed, view }
}

test.each([
  ['at-least-once', 1],
  ['at-least-once', 16],
  ['exactly-once', 1],
  ['exactly-once', 16],
] as const)(
  'sliding windows, closed ones and late events are what brute force says: %s, %d instances, handlers that fail, restarts',
  async (guarantee, concurrency) => {
    await fc.assert(
      fc.asyncProperty(clicks, spans, fc.nat({ max: 40 }), async (all, given, restartAfter) => {
        const { app, topic, closed, view } = slidingApp(guarantee, given, concurrency)
        await using t = await testApp(app)
        const send = async (from: number, to: number): Promise<void> => {
          for (const [nth, { key, at }] of all.slice(from, to).entries())
            await t.send(topic, { key, value: from + nth, timestamp: at })
          await t.settle()
          await t.clock.advance('3s')
        }
        await send(0, restartAfter)
        // At least once, a crash may repeat events.
        for (const worker of t.all) await (guarantee === 'exactly-once' ? worker.kill() : worker.stop())
        await t.worker()
        await send(restartAfter, all.length)
        const windows: string[] = []
        for await (const [key, { start, end, value }] of view.entries()) windows.push(`${key} ${start}-${end} ${value}`)
        expect({ windows: windows.toSorted(), closed: closed.toSorted(), late: view.stats().late }).toEqual(
          expected(all, given),
        )
      }),
      { numRuns: Number(process.env['WINDOW_RUNS'] ?? 8) },
    )
  },
)

test('a key is read by the window that ends with a time, and rows go when their retention is over', async () => {
  const app = createApp({ id: 'sliding', idleAfter: false })
  const topic = app.topic('clicks', { key: 'string', value: 'number', partitions: 1 })
  const view = app
    .table('counts', { key: 'string', value: 'number', default: () => 0 })
    .sliding('10s', { retention: '1m' })
  const current: number[] = []
  app.agent('count', topic, async (stream) => {
    for await (const { key } of stream.events()) {
      view.update(key, (n) => n + 1)
      current.push(view.get(key).current())
    }
  })
  await using t = await testApp(app)
  const send = (key: string, timestamp: number) => t.send(topic, { key, value: 1, timestamp })
  for (const at of [20_000, 25_000, 30_000, 36_000]) await send('a', at)
  await t.settle()
  expect(current).toEqual([1, 2, 3, 2])
  expect(view.get('a').at(30_000)).toBe(3)
  // No event has this time: the last ten seconds before it.
  expect(view.get('a').at(33_000)).toBe(2)
  expect(view.get('a').at(47_000)).toBe(0)
  expect(view.get('a').windows({ from: 36_000 })).toEqual([
    { start: 26_000, end: 36_000, value: 2 },
    { start: 30_001, end: 40_001, value: 1 },
  ])
  const page = await t.fetch('/table/counts-sliding-10s/a/?to=15000')
  expect(await page.json()).toEqual([{ start: 10_000, end: 20_000, value: 1 }])
  await send('b', 500_000)
  await t.settle()
  for (let n = 0; n < 3; n++) await t.clock.advance('5s')
  // The row of b, and the row by time of its window.
  expect(view.stats().rows).toBe(2)
})

test('a stream is counted by sliding windows, with the window behind an event that came late', async () => {
  const app = createApp({ id: 'sliding', idleAfter: false })
  const topic = app.topic('clicks', { key: 'string', value: 'number', partitions: 1 })
  const seen: string[] = []
  app.agent('count', topic, async (stream) => {
    for await (const { window, value } of stream.sliding(10, { grace: 100 }).count())
      seen.push(`${window.start}-${window.end} ${value}`)
  })
  await using t = await testApp(app)
  for (const timestamp of [110, 105]) await t.send(topic, { key: 'a', value: 1, timestamp })
  await t.settle()
  expect(seen).toEqual(['100-110 1', '95-105 1', '100-110 2', '106-116 1'])
})

import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000

function clicksApp(processingGuarantee: 'at-least-once' | 'exactly-once' = 'at-least-once') {
  const app = createApp({ id: 'clicks', processingGuarantee, idleAfter: false }, {})
  const clicks = app.topic('clicks', { key: 'string', value: 'string', partitions: 1 })
  const late = app.topic('late-clicks', { key: 'string', value: 'string', partitions: 1 })
  const totals = app.topic('totals', { key: 'string', value: 'json', partitions: 1 })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const minutes = counts.tumbling('1m', { grace: '10s', retention: '10m', late })
  const seen: { readonly current: number; readonly before: number; readonly taken: number }[] = []
  app.agent('count', clicks, async (stream) => {
    for await (const { key } of stream.events()) {
      const taken = minutes.update(key, (n) => n + 1)
      seen.push({ taken, current: minutes.get(key).current(), before: minutes.get(key).delta('1m') })
    }
  })
  app.agent('publish', minutes.closed, async (closed) => {
    for await (const { key, window, value } of closed) await totals.send({ key, value: { ...window, value } })
  })
  return { app, clicks, late, totals, counts, minutes, seen }
}

test('events count in the window of their time; a window closes when event time passes its grace', async () => {
  const { app, clicks, late, totals, minutes, counts, seen } = clicksApp()
  await using t = await testApp(app)
  const send = (key: string, timestamp: number) => t.send(clicks, { key, value: 'x', timestamp })
  await send('a', 1000)
  await send('a', 59_999)
  await send('a', MINUTE)
  await send('b', 2 * MINUTE - 1)
  await send('a', 5000)
  await t.settle()
  expect(seen.map(({ taken }) => taken)).toEqual([1, 1, 1, 1, 0])
  expect(minutes.get('a').at(0)).toBe(2)
  expect(minutes.get('a').windows()).toEqual([
    { start: 0, end: MINUTE, value: 2 },
    { start: MINUTE, end: 2 * MINUTE, value: 1 },
  ])
  expect(minutes.get('a').windows({ from: MINUTE })).toHaveLength(1)
  expect(minutes.get('nobody').current()).toBe(0)
  expect(counts.get('a')).toBe(0)
  const closed = [{ start: 0, end: MINUTE, value: 2 }]
  expect(t.sent(totals).map(({ key, value, timestamp }) => [key, value, timestamp])).toEqual([
    ['a', closed[0], MINUTE - 1],
  ])
  const [lateEvent] = t.sent(late)
  expect(lateEvent).toMatchObject({ key: 'a', value: 'x', timestamp: 5000 })
  expect(lateEvent?.headers).toMatchObject({ 'millrace-window': '0/60000', 'millrace-late-by': '49999' })
  expect(minutes.stats()).toMatchObject({ late: 1, windows: { open: 1, closed: 1 } })
  expect(counts.stats().late).toBe(1)
  const page = async (query: string) => (await t.fetch(`/table/counts-tumbling-1m/a/${query}`)).json()
  expect(await page('')).toHaveLength(2)
  expect(await page('?at=59999')).toEqual(closed[0])
  expect(await page('?from=1970-01-01T00:01:00Z')).toEqual([{ start: MINUTE, end: 2 * MINUTE, value: 1 }])
  expect(await page('?at=soon')).toMatchObject({ error: expect.stringContaining('not a time') })
  expect(await (await t.fetch('/stats')).json()).toMatchObject({
    tables: { 'counts-tumbling-1m': { kind: 'windowed', late: 1, windows: { open: 1, closed: 1 } } },
  })

  await send('c', 3 * MINUTE + 10_000)
  await t.settle()
  expect(t.sent(totals).map(({ key, value }) => [key, value])).toEqual([
    ['a', closed[0]],
    ['a', { start: MINUTE, end: 2 * MINUTE, value: 1 }],
    ['b', { start: MINUTE, end: 2 * MINUTE, value: 1 }],
  ])
})

test('an event sees windows that it wrote for a time other than its own', async () => {
  const app = createApp({ id: 'clicks', idleAfter: false })
  const clicks = app.topic('clicks', { key: 'string', value: 'number', partitions: 1 })
  const minutes = app.table('counts', { key: 'string', value: 'number', default: () => 0 }).tumbling('1m')
  const seen: number[][] = []
  app.agent('count', clicks, async (stream) => {
    for await (const { key, value } of stream.events()) {
      minutes.update(key, (n) => n + 1, { at: value })
      seen.push(
        minutes
          .get(key)
          .windows()
          .map(({ start }) => start / MINUTE),
      )
    }
  })
  await using t = await testApp(app)
  await t.send(clicks, { key: 'a', value: 7 * MINUTE, timestamp: MINUTE })
  await t.send(clicks, { key: 'a', value: 3 * MINUTE, timestamp: MINUTE })
  await t.settle()
  expect(seen).toEqual([[7], [3, 7]])
})

test.each(['at-least-once', 'exactly-once'] as const)(
  'after a restart, %s, event time goes on where it was, and no window closes again',
  async (guarantee) => {
    const { app, clicks, totals, minutes, seen } = clicksApp(guarantee)
    await using t = await testApp(app)
    const send = (key: string, timestamp: number) => t.send(clicks, { key, value: 'x', timestamp })
    await send('a', 1000)
    await send('b', 3 * MINUTE)
    await t.settle()
    await t.clock.advance('5s')
    expect(t.sent(totals)).toHaveLength(1)
    for (const worker of t.all) await worker.kill()
    await t.worker()
    await send('a', 2000)
    await send('a', 3 * MINUTE + 1)
    await t.settle()
    await t.clock.advance('5s')
    expect(seen.map(({ taken }) => taken)).toEqual([1, 1, 0, 1])
    expect(minutes.get('a').windows()).toHaveLength(2)
    expect(t.sent(totals)).toHaveLength(1)
    await send('a', 20 * MINUTE)
    await t.settle()
    await t.clock.advance('5s')
    expect(t.sent(totals)).toHaveLength(3)
    expect(minutes.get('a').windows()).toEqual([{ start: 20 * MINUTE, end: 21 * MINUTE, value: 1 }])
    await t.clock.advance('5s')
    expect(minutes.size).toBe(1)
  },
)

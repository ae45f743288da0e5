import { createApp } from '@millrace/app'
import type { WorkerStats } from '@millrace/worker'
import { expect, test } from 'vitest'
import { type TestApp, testApp } from '../index.ts'

const MINUTE = 60_000
const NOW = new Date('2026-01-01T00:00:00Z').getTime()
const iso = (minutes: number): string => new Date(NOW + minutes * MINUTE).toISOString()

/** Counts visits by the minute. The visit of a page "stuck" takes an hour. */
function minutesApp() {
  const app = createApp({ id: 'held', idleAfter: false })
  const visits = app.topic('visits', { key: 'string', value: 'number', partitions: 1, timestamp: (at) => at })
  const minutes = app.table('pages', { key: 'string', value: 'number', default: () => 0 }).tumbling('1m')
  app.agent('count', visits, async (stream) => {
    for await (const { key } of stream.events()) {
      if (key === 'stuck') await app.clock.sleep(60 * MINUTE)
      minutes.update(key, (n) => n + 1)
    }
  })
  return { app, visits, minutes }
}

test('an event that has not finished holds the watermark: which one, of whom, and since when', async () => {
  const { app, visits } = minutesApp()
  await using t = await testApp(app)
  await t.send(visits, { key: 'a', value: NOW })
  await t.settle()
  await t.clock.advance('10m')
  await t.send(visits, { key: 'stuck', value: NOW + 9 * MINUTE })
  await t.send(visits, { key: 'b', value: NOW + 10 * MINUTE })
  await t.settle()
  await t.clock.advance('5m')
  expect(statsOf(t).watermarks).toEqual([
    {
      name: 'pages-tumbling-1m',
      kind: 'state',
      task: '1-0',
      partition: 0,
      watermark: iso(0),
      committed: iso(0),
      behindMs: 15 * MINUTE,
      waitsFor: expect.any(String),
      sources: [{ topic: 'visits', partition: 0, agent: 'count', watermark: iso(0), idle: false }],
      heldBy: {
        reason: 'event',
        topic: 'visits',
        partition: 0,
        offset: 1,
        upstream: undefined,
        agent: 'count',
        since: iso(10),
        forMs: 5 * MINUTE,
        why: 'agent count has not finished event visits/0@1',
      },
    },
  ])
  await t.clock.advance('1h')
  expect(statsOf(t).watermarks).toMatchObject([{ watermark: iso(10), heldBy: { reason: 'end' } }])
})

test('a partition at its end holds the watermark until it is idle', async () => {
  const app = createApp({ id: 'ended', idleAfter: '30s' })
  const read = { key: 'string', value: 'number', partitions: 1, timestamp: (at: number) => at } as const
  const [left, right] = [app.topic('left', read), app.topic('right', read)]
  const minutes = app.table('pages', { key: 'string', value: 'number', default: () => 0 }).tumbling('1m', {
    onWindowClose: () => {},
  })
  for (const topic of [left, right])
    app.agent(`count-${topic.name}`, topic, async (stream) => {
      for await (const { key } of stream.events()) minutes.update(key, (n) => n + 1)
    })
  await using t = await testApp(app)
  await t.send(left, { key: 'a', value: NOW })
  await t.send(right, { key: 'a', value: NOW })
  await t.settle()
  await t.clock.advance('20s')
  await t.send(left, { key: 'a', value: NOW + MINUTE / 3 })
  await t.settle()
  expect(statsOf(t).watermarks[0]).toMatchObject({
    waitsFor: iso(1),
    watermark: iso(0),
    heldBy: {
      reason: 'end',
      topic: 'right',
      agent: 'count-right',
      why: 'right/0 is at its end, and counts as idle only after 30s without events (idleAfter)',
    },
  })
  await t.clock.advance('20s')
  await t.send(left, { key: 'a', value: NOW + MINUTE / 2 })
  await t.settle()
  await t.clock.advance('25s')
  expect(statsOf(t).watermarks[0]).toMatchObject({ watermark: iso(1 / 2), heldBy: { topic: 'left' } })
  await t.clock.advance('1m')
  expect(statsOf(t).watermarks[0]).toMatchObject({ heldBy: undefined, sources: [{ idle: true }, { idle: true }] })
})

test('behind a groupBy, the upstream task that has come least far is named, and what holds that one', async () => {
  const app = createApp({ id: 'grouped', idleAfter: false })
  const visits = app.topic('visits', { key: 'string', value: 'string', partitions: 2 })
  app.agent('count', visits, async (stream) => {
    const counts = stream
      .groupBy((page) => page)
      .tumbling('1m')
      .count()
    for await (const _ of counts.emit('close')) continue
  })
  await using t = await testApp(app)
  await t.send(visits, { key: 'a', value: 'a', partition: 0, timestamp: NOW + 9 * MINUTE })
  await t.send(visits, { key: 'a', value: 'a', partition: 1, timestamp: NOW + MINUTE })
  await t.settle()
  await t.clock.advance('10s')
  const watermarks = statsOf(t).watermarks
  const states = watermarks.filter(({ kind, sources }) => kind === 'state' && sources.length > 0)
  expect(states.map(({ watermark, heldBy }) => ({ watermark, heldBy }))).toEqual(
    states.map(() => ({
      watermark: iso(1),
      heldBy: expect.objectContaining({ reason: 'upstream', upstream: '2-1', agent: 'count' }),
    })),
  )
  expect(states.length).toBeGreaterThan(0)
  const upstream = watermarks.find(({ kind, task }) => kind === 'topic' && task === '2-1')
  expect(upstream).toMatchObject({ watermark: iso(1), heldBy: { reason: 'end', topic: 'visits', partition: 1 } })
  expect(states[0]?.sources[0]?.topic).toBe(upstream?.name)
})

test('windows of closed windows are held by those that have not closed', async () => {
  const { app, visits, minutes } = minutesApp()
  const hours = app.table('hours', { key: 'string', value: 'number', default: () => 0 }).tumbling('1h')
  app.agent('sum', minutes.closed, async (closed) => {
    for await (const { key, value } of closed) hours.update(key, (n) => n + value)
  })
  await using t = await testApp(app)
  for (const minute of [0, 1, 2]) await t.send(visits, { key: 'a', value: NOW + minute * MINUTE })
  await t.settle()
  await t.clock.advance('2s')
  const found = statsOf(t).watermarks.find(({ name }) => name === 'hours-tumbling-1h')
  expect(found).toMatchObject({
    watermark: iso(2),
    heldBy: { reason: 'due', topic: 'pages-tumbling-1m', agent: 'sum' },
  })
})

test('times beyond maxFutureSkew are counted by partition', async () => {
  const { app, visits } = minutesApp()
  await using t = await testApp(app)
  for (const days of [0, 2, 3]) await t.send(visits, { key: 'a', value: NOW + days * 24 * 60 * MINUTE })
  await t.settle()
  expect(statsOf(t).sources).toMatchObject([{ topic: 'visits', skewed: 2 }])
  expect(statsOf(t).watermarks).toMatchObject([{ watermark: iso(0) }])
})

function statsOf(t: TestApp): WorkerStats {
  const [running] = t.all
  if (running === undefined) throw new Error('No worker runs.')
  return running.worker.stats()
}

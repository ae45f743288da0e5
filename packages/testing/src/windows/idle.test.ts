import { createApp } from '@millrace/app'
import { deferred } from '@millrace/core'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const MINUTE = 60_000
const NOW = new Date('2026-01-01T00:00:00Z').getTime()

function sessionsApp(idleAfter: '30s' | false) {
  const app = createApp({ id: 'visits', idleAfter })
  const visits = app.topic('visits', { key: 'string', value: 'number', partitions: 2, timestamp: (at) => at })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const closed: string[] = []
  const minutes = counts.tumbling('1m', {
    onWindowClose: ({ key, window, value }) => void closed.push(`${key} ${(window.start - NOW) / MINUTE} ${value}`),
  })
  app.agent('count', visits, async (stream) => {
    for await (const { key } of stream.events()) minutes.update(key, (n) => n + 1)
  })
  return { app, visits, closed, minutes }
}

test('when events stop coming, the clock closes the last window', async () => {
  const { app, visits, closed, minutes } = sessionsApp('30s')
  await using t = await testApp(app)
  await t.send(visits, { key: 'a', value: NOW + 1000 })
  await t.settle()
  await t.clock.advance('1m')
  expect(closed).toEqual([])
  expect(minutes.get('a').now()).toBe(0)
  await t.clock.advance('40s')
  expect(closed).toEqual(['a 0 1'])
  await t.send(visits, { key: 'a', value: NOW + 2000 })
  await t.settle()
  expect(minutes.stats().late).toBe(1)
  await t.send(visits, { key: 'a', value: t.clock.now() })
  await t.settle()
  expect(minutes.get('a').current()).toBe(1)
})

test('a pause in a backfill closes no window', async () => {
  const { app, visits, closed } = sessionsApp('30s')
  await using t = await testApp(app)
  await t.send(visits, { key: 'a', value: NOW - 60 * MINUTE })
  await t.settle()
  await t.clock.advance('10m')
  expect(closed).toEqual([])
})

test('without idleAfter, only events advance event time', async () => {
  const { app, visits, closed } = sessionsApp(false)
  await using t = await testApp(app)
  await t.send(visits, { key: 'a', value: NOW })
  await t.settle()
  await t.clock.advance('1h')
  expect(closed).toEqual([])
})

test('an invalid time makes a dead letter at once; a time far ahead does not move the watermark', async () => {
  const { app, visits, minutes, closed } = sessionsApp(false)
  await using t = await testApp(app)
  await t.send(visits, { key: 'a', value: -5 })
  await t.send(visits, { key: 'a', value: NOW + 30 * 24 * 60 * MINUTE })
  await t.send(visits, { key: 'a', value: NOW })
  await t.settle()
  expect(await t.deadLetters.list({ agent: 'count' })).toMatchObject([{ waiting: 1 }])
  expect(minutes.stats()).toMatchObject({ late: 0, windows: { watermark: new Date(NOW).toISOString(), open: 2 } })
  expect(closed).toEqual([])
})

test('event time that the clock advanced does not go back after a restart', async () => {
  const { app, visits, closed, minutes } = sessionsApp('30s')
  await using t = await testApp(app)
  await t.send(visits, { key: 'a', value: NOW + 1000 })
  await t.settle()
  await t.clock.advance('2m')
  expect(closed).toEqual(['a 0 1'])
  for (const worker of t.all) await worker.kill()
  await t.worker()
  await t.send(visits, { key: 'a', value: NOW + 2000 })
  await t.settle()
  await t.clock.advance('5s')
  expect(minutes.stats().late).toBe(1)
  expect(closed).toEqual(['a 0 1'])
})

test('whether an event is late depends on the order of its partition, not on which events have finished', async () => {
  const app = createApp({ id: 'visits', idleAfter: false })
  const visits = app.topic('visits', { key: 'string', value: 'number', partitions: 1, timestamp: (at) => at })
  const minutes = app.table('counts', { key: 'string', value: 'number', default: () => 0 }).tumbling('1m')
  const held = deferred<void>()
  app.agent(
    'count',
    visits,
    async (stream) => {
      for await (const { key, value } of stream.events()) {
        // The event that moves event time on is still in flight when the late one is handled.
        if (value === NOW + 10 * MINUTE) await held.promise
        minutes.update(key, (n) => n + 1)
        if (value === NOW + 1000) held.resolve()
      }
    },
    { concurrency: 2, ordering: 'none' },
  )
  await using t = await testApp(app)
  await t.send(visits, { key: 'a', value: NOW })
  await t.settle()
  const last = [t.send(visits, { key: 'b', value: NOW + 10 * MINUTE }), t.send(visits, { key: 'a', value: NOW + 1000 })]
  await Promise.all(last)
  await t.settle()
  expect(minutes.stats().late).toBe(1)
  expect(minutes.get('a').at(NOW)).toBe(1)
})

test('a session that has grown closes with the clock, too', async () => {
  const app = createApp({ id: 'grown', topicPartitions: 1 })
  const clicks = app.topic('clicks', { key: 'string', value: 'string' })
  const closed: string[] = []
  const sessions = app.table('clicked', { key: 'string', value: 'number', default: () => 0 }).session('30m', {
    merge: (a, b) => a + b,
    onWindowClose: ({ key, window, value }) => void closed.push(`${key} ${(window.end - NOW) / MINUTE} ${value}`),
  })
  app.agent('count', clicks, async (stream) => {
    for await (const { key } of stream.events()) sessions.update(key, (n) => n + 1)
  })
  await using t = await testApp(app)
  for (const minute of [0, 20]) await t.send(clicks, { key: 'a', value: 'x', timestamp: NOW + minute * MINUTE })
  await t.settle()
  await t.clock.advance('50m')
  expect(closed).toEqual([])
  await t.clock.advance('2m')
  expect(closed).toEqual(['a 20 2'])
})

test('a session that goes on after a rest closes with the clock as well', async () => {
  const app = createApp({ id: 'rested', topicPartitions: 1 })
  const clicks = app.topic('clicks', { key: 'string', value: 'string' })
  const closed: string[] = []
  const sessions = app.table('clicked', { key: 'string', value: 'number', default: () => 0 }).session('30m', {
    merge: (a, b) => a + b,
    onWindowClose: ({ key, window, value }) => void closed.push(`${key} ${(window.end - NOW) / MINUTE} ${value}`),
  })
  app.agent('count', clicks, async (stream) => {
    for await (const { key } of stream.events()) sessions.update(key, (n) => n + 1)
  })
  await using t = await testApp(app)
  for (let visit = 0; visit < 2; visit++) {
    await t.send(clicks, { key: 'a', value: 'x' })
    await t.clock.advance('10m')
  }
  await t.clock.advance('20m')
  expect(closed).toEqual([])
  await t.clock.advance('2m')
  expect(closed).toEqual(['a 10 2'])
})

import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const SECOND = 1000

async function timesOf(rateLimit: { readonly perSecond: number }, handle: 'values' | 'batches' | 'noAck') {
  const app = createApp({ id: 'limited' })
  const orders = app.topic('orders', { value: 'number', partitions: 4 })
  const times: number[] = []
  app.agent(
    'call',
    orders,
    async (stream) => {
      if (handle === 'batches')
        for await (const batch of stream.take(5, { within: '1s' })) for (const _ of batch) times.push(t.clock.now())
      else if (handle === 'noAck')
        for await (const event of stream.noAck().events()) {
          times.push(t.clock.now())
          event.ack()
        }
      else for await (const _ of stream) times.push(t.clock.now())
    },
    { concurrency: 2, rateLimit },
  )
  const t = await testApp(app)
  const startMs = t.clock.now()
  for (let n = 0; n < 200; n++) await t.send(orders, { key: `k${n}`, value: n })
  await t.clock.advance('9s')
  const soFar = times.length
  await t.clock.advance('30s')
  await t.close()
  return { times: times.map((ms) => ms - startMs), soFar }
}

test.each(['values', 'batches', 'noAck'] as const)(
  'all instances together take as many events a second as they may, none is left out: %s',
  async (handle) => {
    const { times, soFar } = await timesOf({ perSecond: 10 }, handle)
    expect(times).toHaveLength(200)
    expect(soFar).toBeGreaterThanOrEqual(85)
    const slack = handle === 'batches' ? 10 : 2
    for (const from of times)
      expect(times.filter((at) => at >= from && at < from + SECOND).length).toBeLessThanOrEqual(10 + slack)
  },
)

test('a rate below one a second is one event every few seconds', async () => {
  const { times, soFar } = await timesOf({ perSecond: 0.5 }, 'values')
  expect(soFar).toBe(5)
  expect(times.slice(0, 4)).toEqual([0, 2, 4, 6].map((seconds) => seconds * SECOND))
})

test('a worker stops at once while an agent waits for its rate', async () => {
  const app = createApp({ id: 'stops' })
  const orders = app.topic('orders', { value: 'number', partitions: 1 })
  const seen: number[] = []
  app.agent(
    'call',
    orders,
    async (stream) => {
      for await (const n of stream) seen.push(n)
    },
    { rateLimit: { perSecond: 0.001 } },
  )
  const t = await testApp(app)
  for (let n = 0; n < 3; n++) await t.send(orders, n)
  await t.settle()
  expect(seen).toEqual([0])
  const closed = t.close()
  await t.clock.advance('1s')
  await closed
})

import { createApp } from '@millrace/app'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'
import { letters } from '../dead-letters/letters.fixture.ts'

const HOUR_MS = 3_600_000
const ONCE_MORE = { retry: 1, backoff: '1ms', then: 'deadLetter' } as const

test('an event that takes too long fails, is tried again and becomes a dead letter; the next ones are handled', async () => {
  const app = createApp({ id: 'slow' })
  const orders = app.topic('orders', { value: 'string', partitions: 1 })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const done: string[] = []
  const late: unknown[] = []
  app.agent(
    'charge',
    orders,
    async (stream) => {
      for await (const order of stream) {
        counts.update(order, (n) => n + 1)
        if (order === 'stuck') {
          await app.clock.sleep(HOUR_MS)
          try {
            counts.update('late', (n) => n + 1)
          } catch (error) {
            late.push(error)
            throw error
          }
        }
        done.push(order)
      }
    },
    { timeout: '10s', onError: ONCE_MORE },
  )
  const t = await testApp(app)
  for (const order of ['a', 'stuck', 'b']) await t.send(orders, order)
  await t.clock.advance('9s')
  expect(done).toEqual(['a'])
  await t.clock.advance('12s')
  expect(done).toEqual(['a', 'b'])
  expect(letters(t, 'slow-charge-dlq')).toMatchObject([
    { value: 'stuck', told: { 'millrace-error-code': 'EVENT_TIMEOUT', 'millrace-attempts': '2' } },
  ])
  expect(counts.get('stuck')).toBe(0)
  // What the abandoned calls of the handler do has no effect, nor does their end.
  await t.clock.advance('2h')
  expect(late).toMatchObject([{ code: 'NO_CURRENT_EVENT' }, { code: 'NO_CURRENT_EVENT' }])
  expect(counts.get('late')).toBe(0)
  expect(done).toEqual(['a', 'b'])
  await t.close()
})

test('the signal of an event aborts with its time, and the error says of which event', async () => {
  const app = createApp({ id: 'aborts' })
  const orders = app.topic('orders', { value: 'string', partitions: 1 })
  const reasons: unknown[] = []
  app.agent(
    'call',
    orders,
    async (stream) => {
      for await (const { signal } of stream.events())
        await app.clock.sleep(HOUR_MS, signal).catch((error) => {
          reasons.push(signal.reason)
          throw error
        })
    },
    { timeout: '1s', onError: 'skip' },
  )
  const t = await testApp(app)
  await t.send(orders, 'a')
  await t.clock.advance('2s')
  expect(reasons).toMatchObject([{ code: 'EVENT_TIMEOUT', detail: expect.stringContaining('orders/0 at offset 0') }])
  expect(await (await t.fetch('/stats')).json()).toMatchObject({ agents: { call: { failed: 1, active: 0 } } })
  await t.close()
})

test('each event has its own time, also under noAck and in batches', async () => {
  const app = createApp({ id: 'each' })
  const orders = app.topic('orders', { value: 'string', partitions: 1 })
  const done: string[] = []
  // 8 s each: more than the time of one together, never one alone.
  app.agent(
    'single',
    orders,
    async (stream) => {
      for await (const order of stream) {
        await app.clock.sleep(8_000)
        done.push(order)
      }
    },
    { timeout: '10s', onError: 'skip' },
  )
  app.agent(
    'loose',
    orders,
    async (stream) => {
      for await (const event of stream.noAck().events())
        void app.clock.sleep(event.value === 'b' ? HOUR_MS : 8_000).then(() => event.ack())
    },
    { timeout: '10s', onError: 'skip' },
  )
  app.agent(
    'batches',
    orders,
    async (stream) => {
      for await (const _ of stream.take(3, { within: '1m' })) await app.clock.sleep(HOUR_MS)
    },
    { timeout: '10s', onError: 'deadLetter' },
  )
  const t = await testApp(app)
  for (const order of ['a', 'b', 'c']) await t.send(orders, order)
  await t.clock.advance('2m')
  expect(done).toEqual(['a', 'b', 'c'])
  expect(await (await t.fetch('/stats')).json()).toMatchObject({
    agents: {
      single: { processed: 3, failed: 0 },
      loose: { failed: 1, active: 0 },
      batches: { deadLettered: 3 },
    },
  })
  await t.close()
})

test.each([
  [{ timeout: 'soon' }, 'DURATION_INVALID'],
  [{ timeout: 0 }, 'DEFINITION_INVALID'],
  [{ rateLimit: { perSecond: 0 } }, 'DEFINITION_INVALID'],
  [{ rateLimit: { perSecond: Infinity } }, 'DEFINITION_INVALID'],
  [{ rateLimit: { perMinute: 3 } }, 'DEFINITION_INVALID'],
  [{ rateLimit: 3 }, 'DEFINITION_INVALID'],
])('%j is refused at once', (options, code) => {
  const app = createApp({ id: 'bad' })
  const declare = (): unknown => Reflect.apply(app.agent, app, ['a', { value: 'string' }, async () => {}, options])
  expect(declare).toThrow(expect.objectContaining({ code }))
})

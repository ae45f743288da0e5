import { type AgentOptions, type App, createApp, type Topic } from '@millrace/app'
import { expect, test } from 'vitest'
import { letters } from '../dead-letters/letters.fixture.ts'
import { testApp } from '../index.ts'

const guarantees = ['at-least-once', 'exactly-once'] as const
type Guarantee = (typeof guarantees)[number]

interface Attempt {
  readonly value: string
  /** Seconds since the start. */
  readonly at: number
}

interface Setting {
  readonly guarantee?: Guarantee
  readonly order?: 'key' | 'none'
  readonly concurrency?: number
  readonly partitions?: number
}

/** An app that charges orders at a service that is down for some of them. */
function chargeApp({ guarantee = 'at-least-once', order, concurrency = 1, partitions = 1 }: Setting = {}) {
  const app = createApp({ id: 'shop', processingGuarantee: guarantee, idleAfter: false, commitInterval: '100ms' })
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions })
  const charged = app.topic('charged', { key: 'string', value: 'string', partitions: 1 })
  const totals = app.table('totals', { key: 'string', value: 'number', default: () => 0 })
  const down = new Set<string>()
  const attempts: Attempt[] = []
  const places = new Map<string, Set<string>>()
  let start = 0
  app.agent(
    'charge',
    orders,
    async (stream) => {
      for await (const event of stream.events()) {
        const { id, key, value, topic, partition, offset, timestamp, headers } = event
        start ||= app.clock.now()
        attempts.push({ value, at: (app.clock.now() - start) / 1000 })
        const place = JSON.stringify({ id, key, topic, partition, offset, timestamp, headers })
        places.set(value, (places.get(value) ?? new Set()).add(place))
        await charged.send({ key, value })
        if (key !== null) totals.update(key, (n) => n + 1)
        if (down.has(value)) throw new Error(`no answer for ${value}`)
      }
    },
    { concurrency, retry: { delays: ['10s', '1m', '10m'], ...(order === undefined ? {} : { order }) } },
  )
  const of = (key: string): readonly Attempt[] => attempts.filter(({ value }) => value.startsWith(key))
  return { app, orders, charged, totals, down, attempts, of, places }
}

test.each(guarantees)(
  'later events of a key wait behind one that has failed, and others do not: %s',
  async (guarantee) => {
    const { app, orders, charged, totals, down, attempts, of, places } = chargeApp({ guarantee })
    await using t = await testApp(app)
    down.add('a1')
    for (const value of ['a1', 'b1', 'a2', 'b2', 'a3'])
      await t.send(orders, { key: value.charAt(0), value, headers: { n: value } })
    await t.settle()
    expect(attempts.map(({ value }) => value)).toEqual(['a1', 'b1', 'b2'])
    const waiting = async (): Promise<unknown> =>
      ((await (await t.fetch('/stats')).json()) as { agents: { charge: { waiting: unknown } } }).agents.charge.waiting
    expect(await waiting()).toEqual({ events: 3, next: '2026-01-01T00:00:10.000Z' })
    await t.advance('10s')
    expect(of('a')).toEqual([
      { value: 'a1', at: 0 },
      { value: 'a1', at: 10 },
    ])
    await t.send(orders, { key: 'a', value: 'a4' })
    await t.advance(59_999)
    expect(of('a')).toHaveLength(2)
    down.clear()
    await t.advance(1)
    expect(of('a').slice(2)).toEqual(['a1', 'a2', 'a3', 'a4'].map((value) => ({ value, at: 70 })))
    expect([...places.values()].map((seen) => seen.size)).toEqual([1, 1, 1, 1, 1, 1])
    await t.send(orders, { key: 'a', value: 'a5' })
    await t.advance('1s')
    expect(of('a').at(-1)).toEqual({ value: 'a5', at: 70 })
    expect(t.sent(charged).map(({ value }) => value)).toEqual(['b1', 'b2', 'a1', 'a2', 'a3', 'a4', 'a5'])
    expect([totals.get('a'), totals.get('b')]).toEqual([5, 2])
  },
)

test.each(guarantees)(
  'after the last delay it is a dead letter, and the next one of its key goes on: %s',
  async (guarantee) => {
    const { app, orders, charged, down, of } = chargeApp({ guarantee })
    await using t = await testApp(app)
    for (const value of ['a1', 'a3']) down.add(value)
    for (const value of ['a1', 'a2', 'a3', 'a4'])
      await t.send(orders, { key: 'a', value, timestamp: 5, headers: { n: value } })
    await t.advance('20m')
    const ats = [0, 10, 70, 670]
    expect(of('a').slice(0, 6)).toEqual([
      ...ats.map((at) => ({ value: 'a1', at })),
      { value: 'a2', at: 670 },
      { value: 'a3', at: 670 },
    ])
    await t.advance('20m')
    expect(of('a').slice(5)).toEqual([...ats.map((at) => ({ value: 'a3', at: at + 670 })), { value: 'a4', at: 1340 }])
    expect(t.sent(charged).map(({ value }) => value)).toEqual(['a2', 'a4'])
    const [first, second, ...others] = letters(t, 'shop-charge-dlq')
    expect(others).toEqual([])
    expect(first).toMatchObject({ key: 'a', value: 'a1', timestamp: 5, own: { n: 'a1' } })
    expect(first?.told).toMatchObject({
      'millrace-topic': 'orders',
      'millrace-offset': '0',
      'millrace-attempts': '4',
      'millrace-error-message': 'no answer for a1',
    })
    expect(second?.told).toMatchObject({ 'millrace-offset': '2', 'millrace-attempts': '4' })
    const stats = (await (await t.fetch('/stats')).json()) as { agents: Record<string, object> }
    expect(stats.agents['charge']).toMatchObject({ received: 4, failed: 8, retried: 6, deadLettered: 2, processed: 4 })
    expect(stats.agents['charge']).toMatchObject({ waiting: { events: 0 } })
  },
)

test.each(guarantees)('what waits outlives a kill, with its attempts: %s', async (guarantee) => {
  const { app, orders, charged, down, of, totals } = chargeApp({ guarantee, partitions: 2 })
  await using t = await testApp(app)
  const [first] = t.all
  down.add('a1')
  for (const value of ['a1', 'b1', 'a2', 'b2']) await t.send(orders, { key: value.charAt(0), value })
  await t.advance('1s')
  const second = await t.worker()
  await first?.kill()
  await t.advance('9s')
  expect(of('a').map(({ value }) => value)).toEqual(['a1', 'a1'])
  await t.worker()
  await t.advance('30s')
  await second.kill()
  down.clear()
  await t.advance('29s')
  expect(of('a')).toHaveLength(2)
  await t.advance('1s')
  expect(of('a').slice(2)).toEqual(['a1', 'a2'].map((value) => ({ value, at: 70 })))
  await t.advance('1s')
  expect(t.sent(charged).map(({ value }) => value)).toEqual(['b1', 'b2', 'a1', 'a2'])
  expect([totals.get('a'), totals.get('b')]).toEqual([2, 2])
})

test('with order none, later events of the key are handled at once', async () => {
  const { app, orders, down, attempts } = chargeApp({ order: 'none' })
  await using t = await testApp(app)
  for (const value of ['a1', 'a2']) down.add(value)
  for (const value of ['a1', 'a2', 'a3']) await t.send(orders, { key: 'a', value })
  await t.advance('10s')
  expect(attempts).toEqual([
    ...['a1', 'a2', 'a3'].map((value) => ({ value, at: 0 })),
    ...['a1', 'a2'].map((value) => ({ value, at: 10 })),
  ])
})

test('a letter tells of the first failure and the last one', async () => {
  const app = createApp({ id: 'shop', commitInterval: '100ms' })
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 1 })
  let attempts = 0
  app.agent(
    'charge',
    orders,
    async (stream) => {
      for await (const _ of stream) throw new TypeError(`attempt ${++attempts}`)
    },
    { retry: { delays: ['10s', '1m'] } },
  )
  await using t = await testApp(app)
  await t.send(orders, { key: 'a', value: 'a1' })
  await t.advance('2m')
  const start = Date.UTC(2026, 0, 1)
  expect(await t.deadLetters.show('charge', 'latest')).toMatchObject({
    failedAt: start + 70_000,
    failure: {
      class: 'TypeError',
      message: 'attempt 3',
      attempts: 3,
      first: { at: start, code: '', class: 'TypeError', message: 'attempt 1' },
    },
  })
})

/** An agent that fails on every event, with the times of its attempts in milliseconds since the start. */
function failingApp(options: Pick<AgentOptions<never, undefined, string, string>, 'onError' | 'retry'>) {
  const app = createApp({ id: 'shop', commitInterval: '100ms' })
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 1 })
  const attempts: number[] = []
  app.agent(
    'charge',
    orders,
    async (stream) => {
      for await (const value of stream) {
        attempts.push(Math.floor(app.clock.now() - Date.UTC(2026, 0, 1)))
        throw new Error(value)
      }
    },
    options,
  )
  return { app, orders, attempts }
}

type Words = Topic<string, string, string, string>

const retry = { delays: ['10s', '1m'] } as const

test('with onError, attempts in place come before the first delay, and its end after the last one', async () => {
  const { app, orders, attempts } = failingApp({
    retry,
    onError: { retry: 2, backoff: '1s', maxBackoff: '1s', then: 'skip' },
  })
  await using t = await testApp(app)
  await t.send(orders, { key: 'a', value: 'a1' })
  await t.advance('5m')
  const [first = NaN, second = NaN, third = NaN, fourth, fifth, ...more] = attempts
  expect([first, second <= 1000, third <= 2000, more.length]).toEqual([0, true, true, 0])
  // The wait ends at a whole millisecond.
  expect([fourth, fifth]).toEqual([third + 10_001, third + 70_001])
  expect(letters(t, 'shop-charge-dlq')).toEqual([])
  const stats = (await (await t.fetch('/stats')).json()) as { agents: Record<string, object> }
  expect(stats.agents['charge']).toMatchObject({ received: 1, processed: 1, failed: 5, retried: 4, deadLettered: 0 })
})

test('a function as onError can end the waiting, and is told of all attempts', async () => {
  const told: number[] = []
  const { app, orders, attempts } = failingApp({
    retry,
    onError({ attempts, event }) {
      told.push(attempts)
      expect(event.offset).toBe(0)
      return attempts === 1 ? 'deadLetter' : undefined
    },
  })
  await using t = await testApp(app)
  await t.send(orders, { key: 'a', value: 'a1' })
  await t.advance('5m')
  expect([attempts, told]).toEqual([
    [0, 10_000],
    [0, 1],
  ])
  expect(letters(t, 'shop-charge-dlq').map(({ told: { 'millrace-attempts': count } }) => count)).toEqual(['2'])
})

test('what cannot be decoded does not wait', async () => {
  const app = createApp({ id: 'shop', commitInterval: '100ms' })
  const orders = app.topic('orders', { key: 'string', value: 'json', partitions: 1 })
  app.agent(
    'charge',
    orders,
    async (stream) => {
      for await (const _ of stream);
    },
    { retry },
  )
  await using t = await testApp(app)
  await t.write('orders', { key: 'a', value: '{' })
  await t.advance('1s')
  expect(letters(t, 'shop-charge-dlq')).toHaveLength(1)
})

test('an event without a key waits alone, and so does one that is too large not at all', async () => {
  const { app, orders, attempts } = failingApp({ retry: { delays: ['10s'] } })
  await using t = await testApp(app)
  await t.send(orders, { value: 'a1' })
  await t.send(orders, { value: 'a2' })
  await t.send(orders, { key: 'b', value: 'x'.repeat(1_048_000) })
  await t.advance('1s')
  expect(attempts).toEqual([0, 0, 0])
  expect(letters(t, 'shop-charge-dlq').map(({ key }) => key)).toEqual(['b'])
  await t.advance('9s')
  expect(attempts).toEqual([0, 0, 0, 10_000, 10_000])
})

test.each([
  [{ delays: [] as const, orders: 'key' }, {}, 'DEFINITION_INVALID: Retry of agent "charge" has no option orders'],
  [{ delays: '10s' }, {}, 'RETRY_INVALID: retry of agent "charge" has delays \'10s\', which is no list'],
  [{ delays: [0] }, {}, 'RETRY_INVALID: delays[0] of retry of agent "charge" is 0; it must be longer'],
  [{ delays: ['10s', 'soon'] }, {}, 'RETRY_INVALID: delays[1] of retry of agent "charge" is \'soon\''],
  [{ delays: ['10s'], order: 'keys' }, {}, "it takes 'key' or 'none'"],
  [retry, { ordering: 'none' }, "add order: 'none' to retry"],
  [retry, { onError: 'skip' }, "write onError: { retry: 0, then: 'skip' }"],
])('a retry that makes no sense is refused: %j', (given, others, message) => {
  const app = createApp({ id: 'shop' })
  const declare = (): unknown =>
    Reflect.apply(app.agent, app, ['charge', app.topic('orders'), async () => {}, { retry: given, ...others }])
  expect(declare).toThrow(message)
})

test.each([
  ['take()', (app: App, t: Words) => app.agent('charge', t, (s) => s.take(2).forEach(() => {}), { retry })],
  [
    'an ordered merge',
    (app: App, t: Words) => {
      const bills = app.topic('bills')
      app.agent('charge', t, (s) => s.merge(bills, { ordered: true }).forEach(() => {}), { retry })
    },
  ],
  ['suppress()', (app: App, t: Words) => app.agent('charge', t, (s) => s.suppress({ every: 1 }).to(), { retry })],
  ['a channel', (app: App, _: Words) => app.agent('charge', app.channel('c'), (s) => s.to(), { retry })],
  [
    'timers',
    (app: App, _: Words) =>
      app.agent('charge', app.keyTimers('due', { key: 'string', value: 'string', clock: 'wall' }), (s) => s.to(), {
        retry,
      }),
  ],
])('an agent whose events cannot wait is refused at start: %s', async (_, declare) => {
  const app = createApp({ id: 'shop' })
  declare(app, app.topic('orders', { key: 'string', value: 'string' }))
  await expect(testApp(app)).rejects.toThrow('RETRY_INVALID: Agent "charge" has retry, but ')
})

test('topics with different numbers of partitions are refused at start, because their events wait in one state', async () => {
  const app = createApp({ id: 'shop' })
  const topics = [1, 2].map((partitions) => app.topic(`orders-${partitions}`, { partitions }))
  app.agent('charge', topics, (stream) => stream.to(), { retry })
  await expect(testApp(app)).rejects.toThrow(/NOT_COPARTITIONED.*charge-retries/)
})

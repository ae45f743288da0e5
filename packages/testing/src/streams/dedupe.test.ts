import { createApp, json } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

const NOW = Date.UTC(2026, 0, 1)

interface Order {
  readonly id: string
  readonly n: number
}

function ordersApp(concurrency = 1, processingGuarantee: 'at-least-once' | 'exactly-once' = 'at-least-once') {
  const app = createApp({ id: 'orders', idleAfter: false, commitInterval: '100ms', processingGuarantee })
  const orders = app.topic('orders', { key: 'string', value: json<Order>(), partitions: 1 })
  const seen = app.topic('seen', { key: 'string', value: json<Order>(), partitions: 1 })
  let attempts = 0
  app.agent(
    'orders',
    orders,
    async (stream) => {
      for await (const { key, value } of stream.dedupe({ by: ({ id }) => id, within: 1000 }).events()) {
        await seen.send({ key, value })
        if (++attempts % 5 === 0) throw new Error('Once in a while.')
      }
    },
    { concurrency, onError: { retry: 100, backoff: '1ms', maxBackoff: '2ms', then: 'stop' } },
  )
  return { app, orders, seen }
}

/** By brute force: an event is dropped if the last one that was not is at most `within` older. */
function expected(sent: readonly { readonly id: string; readonly at: number }[]): readonly number[] {
  const firsts = new Map<string, number>()
  return sent.flatMap(({ id, at }, n) => {
    const first = firsts.get(id)
    if (first !== undefined && at <= first + 1000) return []
    firsts.set(id, at)
    return n
  })
}

test.each([
  [1, 'at-least-once'],
  [4, 'exactly-once'],
] as const)(
  'each id once a span, with handlers that fail and workers that come and go: %d instances, %s',
  async (concurrency, guarantee) => {
    const orders = fc.array(
      // In the order of time, so that nothing is forgotten before it could be seen again.
      fc.record({ id: fc.constantFrom('a', 'b', 'c'), step: fc.integer({ min: 0, max: 600 }) }),
      { minLength: 1, maxLength: 30 },
    )
    await fc.assert(
      fc.asyncProperty(orders, fc.nat({ max: 30 }), fc.boolean(), async (steps, cut, isClean) => {
        let at = NOW
        const all = steps.map(({ id, step }) => ({ id, at: (at += step) }))
        const { app, orders, seen } = ordersApp(concurrency, guarantee)
        await using t = await testApp(app)
        for (const [n, { id, at: timestamp }] of all.entries()) {
          if (n === cut) {
            await t.advance('1s')
            for (const worker of t.all) await (isClean ? worker.stop() : worker.kill())
            await t.worker()
          }
          await t.send(orders, { key: id, value: { id, n }, timestamp })
        }
        await t.advance('3s')
        const passed = t.sent(seen).map(({ value }) => value?.n ?? -1)
        expect(passed.toSorted((a, b) => a - b)).toEqual(expected(all))
      }),
      { numRuns: 8 },
    )
  },
)

test('an event passes dedupe again after a crash that left its row', async () => {
  const { app, orders, seen } = ordersApp()
  await using t = await testApp(app)
  await t.send(orders, { key: 'a', value: { id: 'a', n: 0 }, timestamp: NOW })
  await t.advance('1s')
  const [row] = t.log.records('orders-orders-dedupe-changelog').filter(({ key }) => String(key) === 'a')
  if (row === undefined) throw new Error('There is no row.')
  for (const worker of t.all) await worker.stop()
  // As of an event whose offset was never committed: the next one.
  const value = Buffer.from(row.value ?? '')
  value.writeDoubleBE(1, 4)
  await t.write('orders-orders-dedupe-changelog', { key: Buffer.from('b'), value, partition: 0 })
  await t.worker()
  await t.send(orders, { key: 'b', value: { id: 'b', n: 1 }, timestamp: NOW })
  await t.send(orders, { key: 'b', value: { id: 'b', n: 2 }, timestamp: NOW })
  await t.advance('1s')
  expect(t.sent(seen).map(({ value }) => value?.n)).toEqual([0, 1])
})

test('an id is forgotten after its time', async () => {
  const { app, orders } = ordersApp()
  await using t = await testApp(app)
  for (let n = 0; n < 20; n++) await t.send(orders, { key: 'k', value: { id: `id ${n}`, n }, timestamp: NOW + n * 400 })
  await t.advance('3s')
  const rows = new Map(t.log.records('orders-orders-dedupe-changelog').map(({ key, value }) => [String(key), value]))
  const left = [...rows].flatMap(([key, value]) => (key.startsWith('id') && value !== null ? key : []))
  expect(left).toEqual(['id 17', 'id 18', 'id 19'])
})

test.each(['at-least-once', 'exactly-once'] as const)(
  'the last value of each key goes on after a while: %s',
  async (guarantee) => {
    const app = createApp({ id: 'prices', commitInterval: '100ms', processingGuarantee: guarantee })
    const prices = app.topic('prices', { key: 'string', value: 'number', partitions: 2 })
    const shown = app.topic('shown', { key: 'string', value: 'number', partitions: 1 })
    app.agent('show', prices, async (stream) => {
      const calm = stream.filter((price) => price > 0).suppress({ every: '10s' })
      for await (const { key, value } of calm.map((price) => price * 2).events()) await shown.send({ key, value })
    })
    await using t = await testApp(app)
    const send = (key: string, value: number) => t.send(prices, { key, value })
    await send('a', 1)
    await send('b', 5)
    await t.advance('4s')
    await send('a', 2)
    await send('a', -1)
    await t.advance('5s')
    expect(t.sent(shown)).toEqual([])
    await send('a', 3)
    // What waits is on the disk.
    await t.advance('200ms')
    for (const worker of t.all) await worker.kill()
    await t.worker()
    await t.advance('2s')
    const values = () => Object.fromEntries(t.sent(shown).map(({ key, value }) => [key, value]))
    expect([t.sent(shown).length, values()]).toEqual([2, { a: 6, b: 10 }])
    await send('a', 4)
    await t.advance('11s')
    expect([t.sent(shown).length, values()]).toEqual([3, { a: 8, b: 10 }])
  },
)

test('invalid options end the worker when the handler starts', async () => {
  const startWith = async (use: (app: ReturnType<typeof createApp>) => void): Promise<void> => {
    const app = createApp({ id: 'mistakes' })
    use(app)
    const t = await testApp(app)
    await t.close()
  }
  const options = { key: 'string', value: json<Order>() } as const
  await expect(
    startWith((app) =>
      app.agent('a', app.topic('in', options), async (stream) => {
        for await (const _ of stream.dedupe({ by: ({ id }) => id, within: 0 }));
      }),
    ),
  ).rejects.toThrow('DEDUPE_INVALID')
  await expect(
    startWith((app) =>
      app.agent('a', app.topic('in', options), async (stream) => {
        for await (const _ of stream.suppress({ every: 'soon' as '1s' }));
      }),
    ),
  ).rejects.toThrow('SUPPRESS_INVALID')
  await expect(
    startWith((app) =>
      app.agent('a', app.topic('in', { value: json<Order>() }), async (stream) => {
        for await (const _ of stream.dedupe({ by: ({ id }) => id, within: '1h' }));
      }),
    ),
  ).rejects.toThrow('groupBy()')
})

import { createServer } from 'node:http'
import { type AddressInfo } from 'node:net'
import { trace } from '@opentelemetry/api'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { partitionForKey } from '@millrace/core/driver'
import { createApp, type App } from '@millrace/app'
import { createMemoryLog, createMemoryTransport, type MemoryLog } from '@millrace/transport-embedded'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { kindOf, parentHeader, SpansForTests } from './fixtures/spans.fixture.ts'

const PARTITIONS = 3
const spans = new SpansForTests()
const apps: App[] = []

/** The addresses of the test's own requests, which set their header themselves; all others use the instrumentation. */
let entrance: string | undefined
const unregister = registerInstrumentations({
  instrumentations: [new UndiciInstrumentation({ ignoreRequestHook: ({ origin }) => origin === entrance })],
})

const stock = createServer((request, response) => response.end(request.headers['traceparent'] ?? 'none'))
await new Promise<void>((resolve) => stock.listen(0, '127.0.0.1', resolve))
const stockUrl = `http://127.0.0.1:${(stock.address() as AddressInfo).port}/`

beforeEach(() => spans.reset())
afterAll(async () => {
  await Promise.all(apps.map((app) => app.stop()))
  stock.close()
  unregister()
  spans.release()
})

/** One worker of a shop: workers share only the log and the sensor. */
function shop(log: MemoryLog, id: string): App {
  const app = createApp(
    {
      id,
      broker: (deps) => createMemoryTransport(log, deps),
      store: 'memory:',
      topicPartitions: PARTITIONS,
      web: { port: 0, host: '127.0.0.1' },
    },
    { sensor: spans.sensor },
  )
  const shipped = app.topic('shipped', { key: 'string', value: 'string' })
  const asked = app.table('asked', { key: 'string', value: 'number', default: () => 0 })
  const prices = app.agent('prices', { key: 'string', value: 'string' }, async function* (articles) {
    for await (const article of articles) {
      asked.update(article, (n) => n + 1)
      yield (await (await fetch(stockUrl)).text()).length
    }
  })
  const orders = app.topic('orders', { key: 'string', value: 'string' })
  app.agent('take-orders', orders, async (stream) => {
    for await (const [article, customer] of stream.items()) {
      await prices.ask(customer, { key: customer })
      await shipped.send({ key: 'to', value: article, partition: Number(customer.at(-1)) })
    }
  })
  app.agent('ship', shipped, async (stream) => {
    for await (const article of stream) void article
  })
  app.page('/order/:key/:customer/', async (c) => {
    await orders.send({ key: c.params.key, value: c.params.customer })
    return c.text('ordered')
  })
  app.page(
    '/asked/:key/',
    app.tableRoute(asked, { param: 'key' }, (c, key) => c.json(asked.get(key))),
  )
  apps.push(app)
  return app
}

/** A key in the given partition, named at its end. */
function keyIn(partition: number): string {
  for (let n = 0; ; n++) {
    const key = `${n}-${partition}`
    if (partitionForKey(Buffer.from(key), PARTITIONS) === partition) return key
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const limitMs = performance.now() + 30_000
  while (!condition()) {
    if (performance.now() > limitMs) throw new Error(`It did not happen: ${what}. ${spans.tree.join('\n')}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function partitionOf(app: App): readonly number[] {
  return (app.stats()?.sources ?? []).flatMap(({ topic, partition }) => (topic === 'orders' ? [partition] : []))
}

test('one trace spans three workers: page, agents, an ask, a table, a route to its owner', async () => {
  const log = createMemoryLog()
  const group = [shop(log, 'three'), shop(log, 'three'), shop(log, 'three')]
  await Promise.all(group.map((app) => app.start()))
  await until('each has a partition', () => group.every((app) => partitionOf(app).length === 1))
  const [a, b, c] = group.map((app) => partitionOf(app)[0] ?? 0)
  const [first] = group
  const customer = keyIn(c ?? 0)
  entrance = new URL(first?.web.url ?? '').origin
  spans.reset()

  const client = trace.getTracer('test').startSpan('client')
  const get = async (path: string): Promise<string> => {
    const headers = { traceparent: parentHeader(client) }
    return await (await fetch(new URL(path, first?.web.url), { headers })).text()
  }
  expect(await get(`/order/${keyIn(b ?? 0)}/${customer}/`)).toBe('ordered')
  // The worker that answers has `customer`, whose last digit names the partition of what is shipped there.
  await until('it is shipped', () => spans.named('process shipped').length === 1)
  expect(await get(`/asked/${customer}/`)).toBe('1')
  client.end()

  const page = 'client > GET /order/:key/:customer/ > send orders > process orders'
  const route = 'client > GET /asked/:key/'
  expect(spans.tree).toEqual(
    [
      'client',
      'client > GET /order/:key/:customer/',
      'client > GET /order/:key/:customer/ > send orders',
      page,
      `${page} > ask prices`,
      `${page} > ask prices > process three-prices`,
      `${page} > ask prices > process three-prices > GET`,
      `${page} > ask prices > process three-prices > send three-replies`,
      `${page} > send shipped`,
      `${page} > send shipped > process shipped`,
      route,
      `${route} > GET`,
      `${route} > GET > GET /asked/:key/`,
    ].toSorted(),
  )
  expect(new Set(spans.all.map((span) => span.spanContext().traceId)).size).toBe(1)
  const workerOf = (name: string): unknown => spans.one(name).attributes['messaging.client.id']
  expect(new Set(['process orders', 'process three-prices'].map(workerOf)).size).toBe(2)
  expect(workerOf('process shipped')).toBe(workerOf('process three-prices'))
  expect(new Set([a, b, c]).size).toBe(3)
  expect(spans.all.map((span) => [span.name, kindOf(span)])).toEqual(
    expect.arrayContaining([
      ['send orders', 'PRODUCER'],
      ['process orders', 'CONSUMER'],
      ['ask prices', 'CLIENT'],
      ['GET /asked/:key/', 'SERVER'],
    ]),
  )
  const prices = spans.one('process three-prices')
  expect(prices.events).toMatchObject([
    { name: 'millrace.table.change', attributes: { 'millrace.table': 'table "asked"', 'millrace.rows': 1 } },
  ])
  // Tracing does not enlarge a table's changelog.
  expect(log.records('three-asked-changelog').flatMap(({ headers }) => headers)).toEqual([])
  // The request that the handler made with fetch was a child of its event.
  const inHandler = spans.all.find((span) => span.name === 'GET' && spans.parentOf(span) === prices)
  expect(inHandler?.instrumentationScope.name).toBe('@opentelemetry/instrumentation-undici')
})

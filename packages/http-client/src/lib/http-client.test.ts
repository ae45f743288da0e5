import { createApp, json } from '@millrace/app'
import { testApp } from '@millrace/testing'
import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { createClient } from './create-client.ts'
import { HttpClientError } from './http-client-error.ts'
import type { JsonOf, SentAsJson, NotJson } from './json.ts'
import type { HttpClientOptions } from './options.ts'
import type { WatchedChange } from './table-client.ts'
import type { ReadWindow } from './windows-client.ts'

const Order = z.object({ customer: z.string(), amount: z.number(), note: z.string().optional() })

const app = createApp({ id: 'shop', web: { token: 'a-token-of-20-letters', port: 0, host: '127.0.0.1' } })
const orders = app.topic('orders', { key: 'string', value: json(Order) })
const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
const hours = counts.tumbling('1h', { name: 'hours', retention: '1d' })
const unnamed = counts.hopping('2h', '1h')
const last = app.table('last-orders', { key: 'string', value: json<{ amount: number }>() })
const raws = app.table('raws', { key: 'string', value: 'bytes' })
/** Keys that have no order, and that are no text. */
const byAmount = app.table('by-amount', { key: 'number', value: 'string', partitionBy: () => 'all' })
/** Keys that are text within JSON. */
const quoted = app.table('quoted', { key: json(z.string()), value: 'number', partitionBy: (key) => key })
const rates = app.globalTable('rates', { key: 'string', value: 'number' })
const buyers = app.setTable('buyers', { key: 'string', value: 'string' })

app.agent('take-orders', orders, async (stream) => {
  for await (const { key, value } of stream.events()) {
    counts.update(key, (n) => n + 1)
    hours.update(key, (n) => n + 1)
    unnamed.update(key, (n) => n + 1)
    last.set(key, { amount: value.amount })
    raws.set(key, new Uint8Array([1, 2]))
    quoted.set(key, value.amount)
    buyers.add(key, value.customer)
  }
})

const amounts = app.topic('amounts', { key: 'string', value: 'number' })
app.agent('note-amounts', amounts, async (stream) => {
  for await (const amount of stream) byAmount.set(amount, `${amount} cents`)
})

const prices = app.agent(
  'prices',
  { key: 'string', value: json(Order) },
  async function* (stream) {
    for await (const order of stream) {
      if (order.customer === 'nobody') throw new Error('nobody buys nothing')
      yield { price: order.amount * 2 }
    }
  },
  { http: true, onError: 'deadLetter' },
)
const secret = app.agent('secret', { value: 'number' }, async function* (stream) {
  for await (const n of stream) yield n
})
const silent = app.agent('silent', { value: 'number' }, async (stream) => {
  for await (const n of stream) void n
})

/** What a module of these declarations exports: what `import type * as shop` gives another program. */
interface Shop {
  readonly app: typeof app
  readonly orders: typeof orders
  readonly counts: typeof counts
  readonly hours: typeof hours
  readonly unnamed: typeof unnamed
  readonly last: typeof last
  readonly raws: typeof raws
  readonly byAmount: typeof byAmount
  readonly quoted: typeof quoted
  readonly rates: typeof rates
  readonly buyers: typeof buyers
  readonly amounts: typeof amounts
  readonly prices: typeof prices
  readonly secret: typeof secret
  readonly silent: typeof silent
}

/** On a busy machine. */
const SOON = { timeout: 20_000 }

const TOKEN = 'a-token-of-20-letters'

const clientOf = (options: HttpClientOptions = {}) =>
  createClient<Shop>('http://shop/', { token: TOKEN, fetch: mounted, ...options })
const client = clientOf()

/** The site of the app, as if it were served. */
function mounted(url: string, init: RequestInit): Promise<Response> {
  return app.web.fetch(new Request(url, init), '10.0.0.1')
}

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

const WORDS = Array.from({ length: 30 }, (_, n) => `${n % 2 === 0 ? 'even' : 'odd'}-${String(n).padStart(2, '0')}`)

/** Two workers that have counted some words. */
async function counted() {
  const t = await testApp(app)
  await t.worker()
  for (const [n, key] of WORDS.entries()) await t.send(orders, { key, value: { customer: `c${n}`, amount: n } })
  await t.advance('1s')
  return t
}

test('a key is read with its own type, or has its default, or nothing', async () => {
  await using t = await counted()
  expect(await client.table('counts').get('odd-01')).toBe(1)
  expect(await client.table('counts').get('never')).toBe(0)
  expect(await client.table('last-orders').get('odd-01')).toEqual({ amount: 1 })
  expect(await client.table('raws').get('odd-01')).toBe('AQI=')
  expect(await client.table('last-orders').get('never')).toBeUndefined()
  expect(await client.table('quoted').get('odd-01')).toBe(1)
  expect(await client.table('buyers').get('odd-01')).toEqual(['c1'])
  expect(await client.table('buyers').get('never')).toEqual([])
  for (const odd of ['', '.', '..', 'a/b?c=d&e#f', 'ü"']) {
    await t.send(orders, { key: odd, value: { customer: 'x', amount: 7 } })
    await t.advance('1s')
    expect([odd, (await client.table('last-orders').get(odd, { read: 'committed' }))?.amount]).toEqual([odd, 7])
    expect(await client.table('quoted').get(odd)).toBe(7)
  }
})

test('a read comes after an event', async () => {
  await using t = await counted()
  const [record] = t.sent(orders)
  if (record === undefined) throw new Error('Nothing was sent.')
  const after = { topic: orders.name, partition: record.partition, offset: record.offset }
  expect(await client.table('counts').get(record.key ?? '', { after, read: 'committed' })).toBe(1)
  const elsewhere = { ...after, partition: (record.partition + 1) % 8 }
  await expect(client.table('counts').get(record.key ?? '', { after: elsewhere })).rejects.toMatchObject({
    code: 'READ_INVALID',
    status: 400,
  })
})

test('rows come from all workers, page by page', async () => {
  await using t = await counted()
  const counts = client.table('counts')
  const sorted = WORDS.toSorted()
  expect(await all(counts.keys({ pageSize: 7 }))).toEqual(sorted)
  expect(await all(counts.entries())).toEqual(sorted.map((word) => [word, 1]))
  const pages = await all(counts.pages({ pageSize: 7 }))
  expect(pages.map(({ rows }) => rows.length)).toEqual([7, 7, 7, 7, 2])
  const evens = sorted.filter((word) => word.startsWith('even'))
  const keysOf = async (rows: AsyncIterable<readonly [string, number]>) => (await all(rows)).map(([key]) => key)
  expect(await keysOf(counts.prefix('even', { pageSize: 4 }))).toEqual(evens)
  expect(await keysOf(counts.prefix('even', { reverse: true, limit: 3, pageSize: 2 }))).toEqual(
    evens.toReversed().slice(0, 3),
  )
  expect(await keysOf(counts.range({ from: 'even-26', to: 'odd-03' }))).toEqual(['even-26', 'even-28', 'odd-01'])
  expect(await keysOf(counts.range({ reverse: true, limit: 1 }))).toEqual(['odd-29'])
  for (const amount of [5, 10, 9]) await t.send(amounts, { key: 'all', value: amount })
  await t.settle()
  // In the order of their bytes, which is that of text.
  expect(await all(client.table('by-amount').entries({ pageSize: 1 }))).toEqual([
    [10, '10 cents'],
    [5, '5 cents'],
    [9, '9 cents'],
  ])
})

/** A site that answers so, one answer after the other, and then as the app does. */
function answering(...answers: readonly (() => Response)[]) {
  const asked: string[] = []
  const left = [...answers]
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    asked.push(`${init.method ?? 'GET'} ${url}`)
    return left.shift()?.() ?? mounted(url, init)
  }
  return { asked, client: clientOf({ fetch, timeout: '10s' }) }
}

const refused = (status: number, headers: Readonly<Record<string, string>>) => (): Response =>
  Response.json({ error: 'Not now.' }, { status, headers })

test('partitions that no worker answers for are named', async () => {
  const headers = { 'retry-after': '1', 'millrace-error': 'PARTITIONS_MISSING', 'millrace-missing': '2,5' }
  const always = clientOf({ fetch: async () => refused(503, headers)(), timeout: '200ms' })
  const error = await all(always.table('counts').values()).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(HttpClientError)
  expect(error).toMatchObject({ code: 'PARTITIONS_MISSING', status: 503, missing: [2, 5], message: 'Not now.' })
  const partial = answering(() => Response.json({ rows: [{ key: 'a', value: 1 }], missing: [2, 5] }))
  expect(await all(partial.client.table('counts').pages({ partial: true }))).toEqual([
    { rows: [['a', 1]], missing: [2, 5] },
  ])
  expect(partial.asked).toEqual(['GET http://shop/table/counts/?partial=1&all=1&limit=500'])
})

test('a 503 that says when is asked again, and nothing else is', async () => {
  await using t = await counted()
  const busy = refused(503, { 'retry-after': '0' })
  const twice = answering(busy, busy)
  expect(await twice.client.table('counts').get('odd-01')).toBe(1)
  expect(twice.asked).toHaveLength(3)
  const order = { customer: 'a', amount: 1 }
  const asking = answering(busy)
  const answered = asking.client.agent('prices').ask(order)
  await expect.poll(() => asking.asked.length, SOON).toBe(2)
  await t.settle()
  expect(await answered).toEqual({ price: 2 })
  // The question may have arrived.
  const stopped = answering(refused(503, { 'millrace-error': 'CLOSED' }))
  await expect(stopped.client.agent('prices').ask(order)).rejects.toMatchObject({ code: 'CLOSED' })
  const cut = answering(() => {
    throw new TypeError('fetch failed')
  })
  await expect(cut.client.agent('prices').ask(order)).rejects.toMatchObject({ code: 'UNREACHABLE' })
  const lost = answering(() => {
    throw new TypeError('fetch failed')
  })
  expect(await lost.client.table('counts').get('odd-01')).toBe(1)
})

test('a call ends with its time, and with its signal', async () => {
  const never = clientOf({
    fetch: (_url, { signal }) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
  })
  await expect(never.table('counts').get('a', { timeout: '20ms' })).rejects.toMatchObject({ code: 'TIMEOUT' })
  const stop = new AbortController()
  const reading = never.table('counts').get('a', { signal: stop.signal })
  stop.abort(new Error('not needed'))
  await expect(reading).rejects.toThrow('not needed')
})

test('a key is watched, over connections that break', async () => {
  await using t = await counted()
  const ends: AbortController[] = []
  let connections = 0
  const breaking = clientOf({
    fetch: (url, init) => {
      connections++
      const end = new AbortController()
      ends.push(end)
      return mounted(url, { ...init, signal: AbortSignal.any([end.signal, ...(init.signal ? [init.signal] : [])]) })
    },
  })
  const stop = new AbortController()
  const seen: (number | undefined)[] = []
  const watching = (async () => {
    for await (const count of breaking.table('counts').watch('odd-01', { signal: stop.signal })) seen.push(count)
  })()
  await expect.poll(() => seen, SOON).toEqual([1])
  ends.pop()?.abort(new Error('The connection is broken.'))
  await t.send(orders, { key: 'odd-01', value: { customer: 'c', amount: 1 } })
  await t.advance('1s')
  await expect.poll(() => seen, SOON).toEqual([1, 2])
  expect(connections).toBe(2)
  stop.abort(new Error('seen enough'))
  await expect(watching).rejects.toThrow('seen enough')
})

test('a range is watched: its rows, and then what changes', async () => {
  await using t = await counted()
  const seen: WatchedChange<number>[] = []
  const watching = (async () => {
    for await (const change of client.table('counts').watchRange({ prefix: 'odd-0' })) {
      seen.push(change)
      if (change.type === 'value' && change.value === 2) return
    }
  })()
  await expect.poll(() => seen.at(-1)?.type, SOON).toBe('ready')
  expect(seen[0]).toEqual({ type: 'state' })
  const rows = seen.flatMap((change) => (change.type === 'value' ? change.key : []))
  expect(rows.toSorted()).toEqual(['odd-01', 'odd-03', 'odd-05', 'odd-07', 'odd-09'])
  await t.send(orders, { key: 'odd-03', value: { customer: 'c', amount: 1 } })
  await t.advance('1s')
  await watching
  expect(seen.at(-1)).toEqual({ type: 'value', key: 'odd-03', value: 2 })
})

test('windows of a key are read and watched', async () => {
  await using t = await testApp(app)
  const HOUR = 3_600_000
  const START = Date.UTC(2026, 0, 1)
  const order = { key: 'a', value: { customer: 'c', amount: 1 } }
  for (const hour of [0, 0, 1, 3]) await t.send(orders, { ...order, timestamp: START + hour * HOUR + 5 })
  await t.advance('1s')
  const of = (hour: number, value: number) => ({ start: START + hour * HOUR, end: START + (hour + 1) * HOUR, value })
  const windows = client.windows('hours')
  expect(await windows.get('a')).toEqual([of(0, 2), of(1, 1), of(3, 1)])
  expect(await windows.get('a', { from: START + HOUR, to: new Date(START + 2 * HOUR), read: 'committed' })).toEqual([
    of(1, 1),
  ])
  expect(await windows.get('never')).toEqual([])
  expect(await windows.at('a', START + 3.5 * HOUR)).toEqual(of(3, 1))
  expect(await windows.at('a', START + 2.5 * HOUR)).toBeUndefined()
  const seen: unknown[] = []
  const watching = (async () => {
    for await (const found of windows.watch('a', { from: START + 3 * HOUR })) if (seen.push(found) === 2) return
  })()
  await expect.poll(() => seen, SOON).toEqual([[of(3, 1)]])
  await t.send(orders, { ...order, timestamp: START + 3 * HOUR })
  await t.advance('1s')
  await watching
  expect(seen).toEqual([[of(3, 1)], [of(3, 2)]])
})

test('an agent is asked, and its errors come with their codes', async () => {
  await using t = await counted()
  const asked = client.agent('prices')
  const answered = asked.ask({ customer: 'a', amount: 21 }, { key: 'k' })
  const failed = asked.ask({ customer: 'nobody', amount: 1 }).catch((error: unknown) => error)
  await t.settle()
  expect(await answered).toEqual({ price: 42 })
  expect(await failed).toMatchObject({ code: 'ASK_FAILED', status: 500, message: 'nobody buys nothing' })
  // What the compiler does not see comes from programs without types.
  const wrong = { customer: 'a', amount: 'many' } as never
  await expect(asked.ask(wrong)).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH', status: 400 })
  await expect(client.agent('secret').ask(1)).rejects.toMatchObject({ code: 'AGENT_PRIVATE', status: 403 })
})

test('what cannot be is refused with its code', async () => {
  await using _t = await counted()
  const wrong = createClient<Shop>('http://shop/', { token: 'a-token-that-is-another', fetch: mounted })
  await expect(wrong.table('counts').get('a')).rejects.toMatchObject({ status: 401, code: 'HTTP_401' })
  await expect(all(wrong.table('counts').watch('a'))).rejects.toMatchObject({ status: 401 })
  await expect(all(client.table('quoted').watchRange({}))).rejects.toMatchObject({ code: 'RANGE_UNORDERED' })
  await expect(wrong.agent('prices').ask({ customer: 'a', amount: 1 })).rejects.toMatchObject({ status: 401 })
  // The types are those of another version of the app.
  const other = createClient<{
    readonly table: Omit<typeof counts, 'name'> & { readonly name: 'gone' }
    readonly agent: Omit<typeof secret, 'name'> & { readonly name: 'gone' }
  }>('http://shop/', { token: TOKEN, fetch: mounted })
  await expect(other.table('gone').get('a')).rejects.toMatchObject({ code: 'TABLE_MISSING', status: 404 })
  await expect(other.agent('gone').ask(1)).rejects.toMatchObject({ code: 'AGENT_MISSING', status: 404 })
  await expect(client.table('by-amount').get('text' as never)).rejects.toMatchObject({
    code: 'KEY_INVALID',
    status: 400,
  })
  await expect(all(client.table('quoted').range({ from: 'a' }))).rejects.toMatchObject({ code: 'RANGE_UNORDERED' })
  const other200 = clientOf({ fetch: async () => new Response('<html>') })
  await expect(other200.table('counts').get('a')).rejects.toMatchObject({ code: 'HTTP_200', status: 200 })
  const broken = new ReadableStream({ start: (controller) => controller.error(new TypeError('terminated')) })
  const cut = answering(() => new Response(broken))
  expect(await cut.client.table('counts').get('odd-01')).toBe(1)
  const elsewhere = clientOf({ fetch: async () => new Response('<html>', { status: 404 }) })
  await expect(elsewhere.table('counts').get('a')).rejects.toMatchObject({
    code: 'HTTP_404',
    message: expect.stringContaining('is the URL right'),
  })
  expect(() => clientOf({ timeout: '0s' })).toThrow(RangeError)
})

test('it works over a connection, under a prefix', async () => {
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  const served = createApp({ id: 'served', broker: 'memory:', web: { port: 0, host: '127.0.0.1' } }, { log: quiet })
  const words = served.topic('words', { key: 'string', value: 'string' })
  const seen = served.table('seen', { key: 'string', value: 'number', default: () => 0 })
  served.agent('see', words, async (stream) => {
    for await (const [word] of stream.items()) seen.update(word, (n) => n + 1)
  })
  const double = served.agent(
    'double',
    { value: 'number' },
    async function* (stream) {
      for await (const n of stream) yield n * 2
    },
    { http: true },
  )
  await served.start()
  try {
    const real = createClient<{ seen: typeof seen; double: typeof double }>(served.web.url ?? '')
    const { metadata } = await words.send({ key: 'a', value: 'a' })
    expect(await real.table('seen').get('a', { after: await metadata() })).toBe(1)
    expect(await all(real.table('seen').entries())).toEqual([['a', 1]])
    expect(await real.agent('double').ask(21)).toBe(42)
    for await (const value of real.table('seen').watch('a')) if (value === 1) break
  } finally {
    await served.stop()
  }
  const gone = createClient<{ seen: typeof seen }>(served.web.url ?? 'http://127.0.0.1:9', { timeout: '500ms' })
  await expect(gone.table('seen').get('a')).rejects.toMatchObject({ code: 'UNREACHABLE', status: undefined })
})

test('tables have the types of the app, by their names', () => {
  const countsOf = client.table('counts')
  expectTypeOf(countsOf.get).parameter(0).toEqualTypeOf<string>()
  expectTypeOf(countsOf.get).returns.resolves.toEqualTypeOf<number>()
  expectTypeOf(client.table('last-orders').get).returns.resolves.toEqualTypeOf<
    { readonly amount: number } | undefined
  >()
  expectTypeOf(client.table('raws').get).returns.resolves.toEqualTypeOf<string | undefined>()
  expectTypeOf(countsOf.range).returns.toEqualTypeOf<
    AsyncGenerator<readonly [key: string, value: number], void, undefined>
  >()
  expectTypeOf(countsOf.watch('a')).toEqualTypeOf<AsyncGenerator<number | undefined, void, undefined>>()
  const amountsOf = client.table('by-amount')
  expectTypeOf(amountsOf.get).parameter(0).toEqualTypeOf<number>()
  expectTypeOf(amountsOf.keys()).toEqualTypeOf<AsyncGenerator<number, void, undefined>>()
  // @ts-expect-error only text has ranges
  void amountsOf.range
  expectTypeOf(client.table('rates').get).returns.resolves.toEqualTypeOf<number | undefined>()
  expectTypeOf(client.table('buyers').get).returns.resolves.toEqualTypeOf<readonly string[]>()
  const hoursOf = client.windows('hours')
  expectTypeOf(hoursOf.get).parameter(0).toEqualTypeOf<string>()
  expectTypeOf(hoursOf.get).returns.resolves.items.toEqualTypeOf<ReadWindow<number>>()
  expectTypeOf(hoursOf.at).returns.resolves.toEqualTypeOf<ReadWindow<number> | undefined>()
  // @ts-expect-error its name is computed
  client.windows('counts-hopping-2h-1h')
  // @ts-expect-error windows are no table
  client.table('hours')
  // @ts-expect-error there is no such table
  client.table('byAmount')
  // @ts-expect-error an agent is no table
  client.table('prices')
  // @ts-expect-error the key is text
  void (() => countsOf.get(1))
})

test('agents that answer have the types of their values', () => {
  const asked = client.agent('prices')
  expectTypeOf(asked.ask).parameter(0).toEqualTypeOf<{ customer: string; amount: number; note?: string | undefined }>()
  expectTypeOf(asked.ask).returns.resolves.toEqualTypeOf<{ price: number }>()
  // @ts-expect-error it never yields
  client.agent('silent')
  // @ts-expect-error there is no such agent
  client.agent('costs')
  // @ts-expect-error the amount is a number
  void (() => asked.ask({ customer: 'a', amount: '1' }))
})

test('an object of declarations does as well as a module, and an app alone does not', () => {
  const declared = createClient<{ readonly words: typeof counts; readonly other: number }>('http://localhost')
  expectTypeOf(declared.table('counts').get).returns.resolves.toEqualTypeOf<number>()
  // @ts-expect-error the app does not say what it has
  createClient<typeof app>('http://localhost')
  // @ts-expect-error neither does nothing at all
  createClient('http://localhost')
})

test('types become those of JSON', () => {
  expectTypeOf<
    JsonOf<{ at: Date; big?: bigint; list: readonly [1, Set<Date>]; of: Map<string, Uint8Array> }>
  >().toEqualTypeOf<{
    at: string
    big?: string
    list: readonly [1, readonly string[]]
    of: readonly (readonly [string, string])[]
  }>()
  expectTypeOf<JsonOf<unknown>>().toEqualTypeOf<unknown>()
  expectTypeOf<SentAsJson<{ a?: string | undefined; b: readonly number[] }>>().toEqualTypeOf<{
    a?: string | undefined
    b: readonly number[]
  }>()
  expectTypeOf<SentAsJson<Date>>().toEqualTypeOf<NotJson>()
  expectTypeOf<SentAsJson<Uint8Array>>().toEqualTypeOf<NotJson>()
})

import { createApp } from '@millrace/app'
import { json } from '@millrace/core'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

interface Order {
  readonly city: string
  readonly amount: number
}

const CITIES = ['Bonn', 'Jena', 'Kiel', 'Trier', 'Ulm', 'Wien', 'Zug']
const COUNT = 700
const PARTITIONS = 8

const orders: readonly (Order & { readonly id: number })[] = Array.from({ length: COUNT }, (_, id) => ({
  id,
  city: CITIES[(id * 5) % CITIES.length] ?? '',
  amount: (id * 7) % 100,
}))

function sumsOf(numbers: readonly { readonly city: string; readonly amount: number }[]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const { city, amount } of numbers) sums.set(city, (sums.get(city) ?? 0) + amount)
  return sums
}

test('groupBy brings each key to one worker: tables, keys, headers and timestamps are right', async () => {
  const app = createApp({ id: 'regroup', broker: 'memory:' })
  const source = app.topic('orders', { key: 'number', value: json<Order>(), partitions: PARTITIONS })
  const totals = app.topic('totals', { key: 'string', value: 'number', partitions: PARTITIONS })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0, partitions: PARTITIONS })
  const seen: { id: string | undefined; key: string; city: string; timestamp: number }[] = []
  app.agent(
    'sum',
    source,
    async (orders) => {
      const byCity = orders.filter(({ amount }) => amount > 0).groupBy(({ city }) => city, { name: 'by-city' })
      for await (const event of byCity.events()) {
        const { city, amount } = event.value
        const total = sums.update(city, (sum) => sum + amount)
        seen.push({ id: event.headers['id'], key: event.key, city, timestamp: event.timestamp })
        await totals.send({ key: city, value: total })
      }
    },
    { concurrency: 4 },
  )
  await using t = await testApp(app)
  await t.worker()
  await t.worker()
  for (const { id, city, amount } of orders)
    await t.send(source, { key: id, value: { city, amount }, headers: { id: String(id) }, timestamp: 1_000_000 + id })
  await t.settle()
  const counted = orders.filter(({ amount }) => amount > 0)
  for (const [city, sum] of sumsOf(orders)) expect(sums.get(city)).toBe(sum)
  expect(seen.toSorted((a, b) => Number(a.id) - Number(b.id))).toEqual(
    counted.map(({ id, city }) => ({ id: String(id), key: city, city, timestamp: 1_000_000 + id })),
  )
  const sent = t.sent(totals)
  expect(sent).toHaveLength(counted.length)
  // The last total of each city is its sum, and its records are in order.
  for (const [city, sum] of sumsOf(orders)) {
    const values = sent.filter(({ key }) => key === city).map(({ value }) => value ?? 0)
    expect(values).toEqual(values.toSorted((a, b) => a - b))
    expect(values.at(-1)).toBe(sum)
  }
})

test('groupBy chains, through, echo and sinks keep key, headers and timestamp', async () => {
  const app = createApp({ id: 'chains', broker: 'memory:' })
  const source = app.topic('orders', { key: 'number', value: json<Order>(), partitions: PARTITIONS })
  const texts = app.topic('texts', { key: 'string', value: 'string', partitions: PARTITIONS })
  const copies = app.topic('copies', { key: 'string', value: 'string', partitions: PARTITIONS })
  const lengths = app.topic('lengths', { key: 'string', value: 'number', partitions: PARTITIONS })
  app.agent(
    'chain',
    source,
    async function* (orders) {
      const chained = orders
        .groupBy(({ city }) => city, { name: 'city' })
        .map(({ city, amount }) => `${city} ${amount}`)
        .groupBy((text) => text.slice(0, 1), { name: 'letter' })
        .through(texts)
        .echo(copies)
      for await (const text of chained) yield text.length
    },
    { concurrency: 4, sinks: [lengths] },
  )
  await using t = await testApp(app)
  await t.worker()
  await t.worker()
  for (const { id, city, amount } of orders)
    await t.send(source, { key: id, value: { city, amount }, headers: { id: String(id) }, timestamp: 1_000_000 + id })
  await t.settle()
  const byId = <V>(
    records: readonly { headers: Readonly<Record<string, string>>; key: string | null; value: V; timestamp: number }[],
  ) =>
    records
      .map(({ headers, key, value, timestamp }) => [Number(headers['id']), key, value, timestamp])
      .toSorted((a, b) => Number(a[0]) - Number(b[0]))
  const expected = orders.map(({ id, city, amount }) => [id, city.slice(0, 1), `${city} ${amount}`, 1_000_000 + id])
  expect(byId(t.sent(texts))).toEqual(expected)
  expect(byId(t.sent(copies))).toEqual(expected)
  expect(byId(t.sent(lengths))).toEqual(expected.map(([id, key, text, at]) => [id, key, String(text).length, at]))
})

test('take gives batches of one task; merge reads several topics', async () => {
  const app = createApp({ id: 'batches', broker: 'memory:' })
  const left = app.topic('left', { key: 'string', value: 'number', partitions: PARTITIONS })
  const right = app.topic('right', { key: 'string', value: 'number', partitions: PARTITIONS })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0, partitions: PARTITIONS })
  const sizes: number[] = []
  app.agent(
    'batch',
    left,
    async (stream) => {
      for await (const batch of stream.merge(right).events().take(20, { within: '1s' })) {
        sizes.push(batch.length)
        expect(new Set(batch.map(({ partition }) => partition)).size).toBe(1)
        for (const { key, value } of batch) sums.update(key, (sum) => sum + value)
      }
    },
    { concurrency: 4 },
  )
  await using t = await testApp(app)
  await t.worker()
  const third = await t.worker()
  for (let n = 0; n < 500; n++) await t.send(n % 2 === 0 ? left : right, { key: `k${n % 40}`, value: n })
  await t.settle()
  await t.clock.advance('1s')
  await t.settle()
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(500)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(20)
  // A worker that leaves with a batch half full gives it back.
  await t.send(left, { key: 'k0', value: 1000 })
  await t.settle()
  await third.stop()
  await t.clock.advance('1s')
  await t.settle()
  for (let k = 0; k < 40; k++) {
    const expected = Array.from({ length: 500 }, (_, n) => n).reduce(
      (sum, n) => (n % 40 === k ? sum + n : sum),
      k === 0 ? 1000 : 0,
    )
    expect(sums.get(`k${k}`)).toBe(expected)
  }
})

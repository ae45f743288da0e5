import { createApp, json } from '@millrace/app'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { seed, testApp } from '../index.ts'

const Cart = z.object({ articles: z.array(z.string()), tier: z.enum(['basic', 'gold']) })
const KEYS = Array.from({ length: 40 }, (_, n) => `k${n}`)

function shop() {
  const app = createApp({ id: 'shop', store: 'memory:' })
  const adds = app.topic('adds', { key: 'string', value: 'string', partitions: 4 })
  const carts = app.table('carts', { key: 'string', value: json(Cart) })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  const seen = app.setTable('seen', { key: 'string', value: 'number' })
  const rates = app.globalTable('rates', { key: 'string', value: 'number' })
  const names = app.setTable('names', { key: 'string', value: 'string', global: true })
  const atStart: (readonly [string, number])[] = []
  app.task(async function look() {
    for await (const row of counts.entries()) atStart.push(row)
  })
  app.agent('add', adds, async (stream) => {
    for await (const [key, article] of stream.items()) {
      counts.update(key, (n) => n + 1)
      const { articles, tier } = carts.get(key) ?? { articles: [], tier: 'basic' as const }
      carts.set(key, { articles: [...articles, article], tier })
    }
  })
  return { app, adds, carts, counts, seen, rates, names, atStart }
}

const ROWS = KEYS.map((key, n) => [key, n] as const)

test('tables of all kinds are seeded before anything runs', async () => {
  const { app, adds, carts, counts, seen, rates, names, atStart } = shop()
  await using t = await testApp(app, {
    seeds: [
      seed(counts, ROWS),
      seed(carts, [['k1', { articles: ['tea'], tier: 'gold' }]]),
      seed(seen, [
        ['k1', 1],
        ['k1', 2],
      ]),
      seed(rates, [['EUR', 1.1]]),
      seed(names, [['k1', 'ann']]),
    ],
  })
  expect(atStart.toSorted(([, a], [, b]) => a - b)).toEqual(ROWS)
  expect([seen.values('k1'), seen.has('k1', 2), rates.get('EUR'), names.has('k1', 'ann')]).toEqual([
    [1, 2],
    true,
    1.1,
    true,
  ])
  await t.send(adds, { key: 'k1', value: 'milk' })
  await t.settle()
  expect(carts.get('k1')).toEqual({ articles: ['tea', 'milk'], tier: 'gold' })
  expect(counts.get('k1')).toBe(2)
})

test('a running table can be seeded: agents see the rows, and another worker restores them', async () => {
  const { app, adds, carts, counts, seen, rates, names } = shop()
  await using t = await testApp(app)
  await t.send(adds, { key: 'k2', value: 'milk' })
  await t.settle()
  await t.seed(counts, ROWS)
  await t.seed(carts, [['k1', { articles: ['tea'], tier: 'gold' }]])
  await t.seed(seen, [['k1', 7]])
  await t.seed(rates, [['EUR', 1.1]])
  await t.seed(names, [['k1', 'ann']])
  expect(ROWS.map(([key]) => [key, counts.get(key)])).toEqual(ROWS)
  expect([seen.values('k1'), rates.get('EUR'), names.values('k1')]).toEqual([[7], 1.1, ['ann']])
  await t.send(adds, { key: 'k1', value: 'milk' })
  await t.clock.advance('2s')
  const [first] = t.all
  await t.worker()
  await first?.kill()
  expect(carts.get('k1')).toEqual({ articles: ['tea', 'milk'], tier: 'gold' })
  expect(ROWS.map(([key]) => [key, counts.get(key)])).toEqual(ROWS.map(([key, n]) => [key, key === 'k1' ? n + 1 : n]))
  expect([seen.values('k1'), rates.get('EUR'), names.values('k1')]).toEqual([[7], 1.1, ['ann']])
})

test("a seed has the table's types and is checked like a write", async () => {
  const { app, carts, seen } = shop()
  // @ts-expect-error there is no such tier
  expect(() => seed(carts, [['a', { articles: [], tier: 'iron' }]])).toThrow(
    expect.objectContaining({ code: 'SCHEMA_MISMATCH' }),
  )
  // @ts-expect-error elements are numbers
  expect(() => seed(seen, [['a', 'one']])).toThrow(expect.objectContaining({ code: 'ENCODE_FAILED' }))
  const other = shop()
  const elsewhere = createApp({ id: 'elsewhere' })
  elsewhere.topic('posts', { value: 'string' })
  await expect(testApp(elsewhere, { seeds: [seed(other.counts, [['a', 1]])] })).rejects.toMatchObject({
    code: 'TOPIC_MISSING',
  })
  await using t = await testApp(app)
  const third = createApp({ id: 'third' }).table('rows', { key: 'string', value: 'number' })
  await expect(t.seed(third, [['a', 1]])).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
})

test('a row that was written before the schema gained a field is read by migrate', async () => {
  const First = Cart.omit({ tier: true })
  const before = createApp({ id: 'shop' })
  const old = before.table('carts', { key: 'string', value: json(First) })
  const app = createApp({ id: 'shop' })
  const adds = app.topic('adds', { key: 'string', value: 'string' })
  const options = { key: 'string', value: json(Cart) } as const
  const carts = app.table('carts', {
    ...options,
    migrate: (raw) => ({ ...First.parse(JSON.parse(raw.toString('utf8'))), tier: 'basic' as const }),
  })
  app.agent('add', adds, async (stream) => {
    for await (const [key, article] of stream.items()) {
      const cart = carts.get(key)
      if (cart !== undefined) carts.set(key, { ...cart, articles: [...cart.articles, article] })
    }
  })
  await using t = await testApp(app, { seeds: [seed(old, [['a', { articles: ['tea'] }]])] })
  expect(carts.get('a')).toEqual({ articles: ['tea'], tier: 'basic' })
  await t.send(adds, { key: 'a', value: 'milk' })
  await t.settle()
  expect(carts.get('a')).toEqual({ articles: ['tea', 'milk'], tier: 'basic' })
})

import { createApp, json, type GlobalTable, type Table } from '@millrace/app'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { testApp } from './test-app.ts'

const Cart = z.object({ tier: z.enum(['gold', 'plain']), version: z.literal(1), items: z.array(z.string()) })
type Cart = z.infer<typeof Cart>

/** As users write them: over a table that they are given. */
function itemsOf(carts: Table<string, Cart> | GlobalTable<string, Cart>, customer: string): readonly string[] {
  return carts.get(customer)?.items ?? []
}

test('enums, literals and lists keep their types through topics and tables', async () => {
  const app = createApp({ id: 'shop' }, { clock: undefined, log: undefined, sensor: undefined })
  const changes = app.topic('changes', { key: 'string', value: json(Cart), partitions: undefined })
  const kept = app.topic('kept', { key: 'string', value: json(Cart) })
  const carts = app.table('carts', { key: 'string', value: json(Cart) })
  const full = app.table('full', {
    key: 'string',
    value: json(Cart),
    default: () => ({ tier: 'plain', version: 1, items: [] }) as const,
  })
  const everywhere = app.globalTable('everywhere', { key: 'string', value: json(Cart) })
  app.agent('keep', changes, async (changes) => {
    for await (const [customer, cart] of changes.items()) {
      carts.set(customer, cart)
      const now = carts.get(customer)
      if (now === undefined) continue
      full.set(customer, now)
      // What a table gives out is readonly, and can be sent.
      await kept.send({ key: customer, value: now })
    }
  })
  await using t = await testApp(app, { now: undefined, partitions: undefined })
  await t.send(changes, { key: 'a', value: { tier: 'gold', version: 1, items: ['tea'] } })
  // @ts-expect-error there is no such tier
  await expect(t.send(changes, { key: 'b', value: { tier: 'iron', version: 1, items: [] } })).rejects.toThrow('tier')
  await t.settle()
  expect(t.sent(kept)).toMatchObject([{ key: 'a', value: { tier: 'gold', items: ['tea'] } }])
  expect(itemsOf(carts, 'a')).toEqual(['tea'])
  expect(itemsOf(full, 'a')).toEqual(['tea'])
  void (() => itemsOf(everywhere, 'a'))
})

test("an app runs on the test's clock", async () => {
  const app = createApp({ id: 'shop' })
  const input = app.topic('input', { value: 'string' })
  const seen: number[] = []
  app.agent('look', input, async (stream) => {
    for await (const _ of stream) seen.push(app.clock.now())
  })
  const before = app.clock.now()
  expect(before).toBeGreaterThan(Date.UTC(2024, 0))
  await using t = await testApp(app, { now: new Date('2020-02-29T12:00:00Z') })
  await t.send(input, 'a')
  await t.settle()
  await t.clock.advance('1h')
  await t.send(input, 'b')
  await t.settle()
  expect(seen).toEqual([Date.UTC(2020, 1, 29, 12), Date.UTC(2020, 1, 29, 13)])
})

test('a worker stays ready for web.readyGrace while a rebalance waits for an event', async () => {
  const app = createApp({ id: 'shop', drainTimeout: '20s', web: { readyGrace: '5s' } })
  const input = app.topic('input', { value: 'string', partitions: 2 })
  app.agent('slow', input, async (stream) => {
    for await (const _ of stream) await app.clock.sleep(10_000)
  })
  await using t = await testApp(app)
  const read = async (path: string): Promise<unknown> => JSON.parse(await (await t.fetch(path)).text())
  const ready = (): Promise<unknown> => read('/health/ready')
  await t.send(input, 'a')
  await expect.poll(() => read('/stats')).toMatchObject({ agents: { slow: { active: 1 } } })
  const joining = t.worker()
  await expect.poll(() => read('/stats')).toMatchObject({ group: { state: 'rebalancing' } })
  expect(await ready()).toEqual({ ready: true, status: 'running', reasons: [] })
  await t.clock.advance('6s')
  expect(await ready()).toMatchObject({ ready: false, reasons: ['The group has been rebalancing for 6 s.'] })
  await t.clock.advance('4s')
  await joining
  expect(await ready()).toEqual({ ready: true, status: 'running', reasons: [] })
})

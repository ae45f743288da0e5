import { createApp } from '@millrace/app'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testApp } from '../index.ts'

interface Sent {
  readonly side: 'customer' | 'order'
  readonly key: string
  readonly at: number
  /** Of a customer, its row is deleted. */
  readonly isGone: boolean
}

/** What each order sees, by hand: the front of both topics, the earlier one first, the customer first at equal times. */
function expected(sent: readonly Sent[]): readonly string[] {
  const numbered = sent.map((each, nth) => ({ ...each, nth }))
  const customers = numbered.filter(({ side }) => side === 'customer')
  const orders = numbered.filter(({ side }) => side === 'order')
  const rows = new Map<string, number>()
  const seen: string[] = []
  for (;;) {
    const [customer, order] = [customers[0], orders[0]]
    if (customer !== undefined && (order === undefined || customer.at <= order.at)) {
      customers.shift()
      if (customer.isGone) rows.delete(customer.key)
      else rows.set(customer.key, customer.nth)
    } else if (order === undefined) return seen.toSorted()
    else {
      orders.shift()
      seen.push(`${order.nth} ${rows.get(order.key) ?? 'nobody'}`)
    }
  }
}

const sends = fc.array(
  fc.record({
    side: fc.constantFrom('customer' as const, 'order' as const),
    key: fc.constantFrom('a', 'b'),
    at: fc.nat({ max: 12 }),
    isGone: fc.boolean(),
  }),
  { minLength: 1, maxLength: 30 },
)

test.each([
  ['at-least-once', 1],
  ['exactly-once', 4],
] as const)(
  'on a replay, each event sees the rows of its own time: %s, %d instances, handlers that fail',
  async (processingGuarantee, concurrency) => {
    await fc.assert(
      fc.asyncProperty(sends, async (sent) => {
        const app = createApp({ id: 'replay', processingGuarantee, agent: { concurrency } })
        const people = app.topic('people', { key: 'string', value: 'number', partitions: 1 })
        const orders = app.topic('orders', { key: 'string', value: 'number', partitions: 1 })
        const customers = app.table('customers', { key: 'string', value: 'number', from: people })
        const seen = new Map<number, string>()
        let attempts = 0
        app.agent(
          'enrich',
          orders,
          async (stream) => {
            const joined = stream.join(customers, { kind: 'left' }, (order, customer) => ({ order, customer }))
            for await (const { order, customer } of joined) {
              if (++attempts % 5 === 0) throw new Error('Once in a while.')
              seen.set(order, `${order} ${customer ?? 'nobody'}`)
            }
          },
          { onError: { retry: 100, backoff: '1ms', maxBackoff: '5ms', then: 'stop' } },
        )
        await using t = await testApp(app)
        for (const worker of t.all) await worker.stop()
        for (const [nth, { side, key, at, isGone }] of sent.entries()) {
          if (side === 'order') await t.send(orders, { key, value: nth, timestamp: at })
          else await t.send(people, { key, value: isGone ? null : nth, timestamp: at })
        }
        await t.worker()
        await t.settle()
        await t.clock.advance('2s')
        expect([...seen.values()].toSorted()).toEqual(expected(sent))
      }),
      { numRuns: Number(process.env['JOIN_RUNS'] ?? 6) },
    )
  },
)

function customersApp() {
  const app = createApp({ id: 'shop' })
  const people = app.topic('people', { key: 'string', value: 'string', partitions: 2 })
  const orders = app.topic('orders', { key: 'string', value: 'json', partitions: 2 })
  const customers = app.table('customers', { key: 'string', value: 'string', from: people })
  const joined: unknown[] = []
  return { app, people, orders, customers, joined }
}

test('a table over a topic has its records as rows, a tombstone deletes a row, and no agent may write it', async () => {
  const { app, people, orders, customers } = customersApp()
  app.agent('write', orders, async (stream) => {
    for await (const { key } of stream.events()) customers.set(key, 'x')
  })
  await using t = await testApp(app)
  await t.send(people, { key: 'a', value: 'Ada' })
  await t.send(people, { key: 'b', value: 'Bob' })
  await t.settle()
  expect([customers.get('a'), customers.find('b'), customers.find('c')]).toEqual(['Ada', 'Bob', undefined])
  await t.send(people, { key: 'a', value: null })
  await t.settle()
  expect(customers.has('a')).toBe(false)
  await t.send(orders, { key: 'a', value: {} })
  const failure: unknown = await t.settle().catch((thrown: unknown) => thrown)
  expect(failure).toMatchObject({
    cause: { code: 'TABLE_IS_TOPIC', message: expect.stringMatching(/set.*"customers".*"people"/) },
  })
})

test('an inner join drops events without a row, a left join keeps them; events without a key have no row', async () => {
  const { app, people, customers, joined } = customersApp()
  const notes = app.topic('notes', { value: 'string', partitions: 2 })
  app.agent('inner', notes, async (stream) => {
    for await (const each of stream.join(customers, {}, (note, name) => `${name}: ${note}`)) joined.push(each)
  })
  app.agent('left', notes, async (stream) => {
    for await (const each of stream.join(customers, { kind: 'left' }, (note, name) => [name, note])) joined.push(each)
  })
  await using t = await testApp(app)
  await t.send(people, { key: 'a', value: 'Ada' })
  await t.settle()
  await t.send(notes, { key: 'a', value: 'hello' })
  await t.send(notes, { key: 'z', value: 'who' })
  await t.send(notes, { value: 'nobody' })
  await t.settle()
  expect(joined).toHaveLength(4)
  expect(joined).toEqual(
    expect.arrayContaining(['Ada: hello', ['Ada', 'hello'], [undefined, 'who'], [undefined, 'nobody']]),
  )
})

test('with `on`, events move to the partition of their row; only a left join keeps events that name no row', async () => {
  const app = createApp({ id: 'shop' })
  const people = app.topic('people', { key: 'string', value: 'string', partitions: 3 })
  const orders = app.topic('orders', { value: 'json', partitions: 2 })
  const customers = app.table('customers', { key: 'string', value: 'string', from: people })
  const joined: string[] = []
  const on = (order: unknown): string | undefined => (order as { by?: string }).by
  for (const kind of ['inner', 'left'] as const)
    app.agent(kind, orders, async (stream) => {
      const named = stream.join(customers, { kind, on }, (order, name) => `${kind} ${on(order)} ${name}`)
      for await (const each of named) joined.push(each)
    })
  await using t = await testApp(app)
  for (const name of ['Ada', 'Bob', 'Cyd', 'Dan']) await t.send(people, { key: name[0] ?? '', value: name })
  await t.settle()
  for (const by of ['A', 'B', 'C', 'D', 'E']) await t.send(orders, { value: { by } })
  await t.send(orders, { value: {} })
  await t.settle()
  const both = ['A Ada', 'B Bob', 'C Cyd', 'D Dan']
  const left = [...both, 'E undefined', 'undefined undefined'].map((each) => `left ${each}`)
  expect(joined.toSorted()).toEqual([...both.map((each) => `inner ${each}`), ...left])
  const lines = t.logged.lines.filter(({ message }) => message.includes('to join table "customers"'))
  expect(lines.map(({ level }) => level)).toEqual(['info', 'info'])
})

test('events of a topic with another partition count are repartitioned to the rows as well', async () => {
  const app = createApp({ id: 'shop' })
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 5 })
  const words = app.topic('words', { key: 'string', value: 'string', partitions: 2 })
  const names = app.table('names', { key: 'string', value: 'string', partitions: 2 })
  const joined: string[] = []
  app.agent('name', words, async (stream) => {
    for await (const { key, value } of stream.events()) names.set(key, value)
  })
  app.agent('join', orders, async (stream) => {
    for await (const each of stream.join(names, {}, (order, name) => `${order} ${name}`)) joined.push(each)
  })
  await using t = await testApp(app)
  for (const key of ['a', 'b', 'c', 'd']) await t.send(words, { key, value: key.toUpperCase() })
  await t.settle()
  for (const key of ['a', 'b', 'c', 'd']) await t.send(orders, { key, value: key })
  await t.settle()
  expect(joined.toSorted()).toEqual(['a A', 'b B', 'c C', 'd D'])
})

test('a global table can be joined on any key, from any partition', async () => {
  const app = createApp({ id: 'shop' })
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 3 })
  const codes = app.topic('codes', { key: 'string', value: 'string', partitions: 8 })
  const countries = app.globalTable('countries', { key: 'string', value: 'string' })
  const joined: string[] = []
  app.agent('learn', codes, async (stream) => {
    for await (const { key, value } of stream.events()) countries.set(key, value)
  })
  app.agent('join', orders, async (stream) => {
    const named = stream.join(countries, { on: (code) => code }, (code, name) => `${code} ${name}`)
    for await (const { key, value } of named.events()) joined.push(`${key} ${value}`)
  })
  await using t = await testApp(app)
  await t.send(codes, { key: 'de', value: 'Germany' })
  await t.settle()
  await t.send(orders, { key: 'x', value: 'de' })
  await t.send(orders, { key: 'y', value: 'fr' })
  await t.settle()
  expect(joined).toEqual(['x de Germany'])
})

test('an impossible join ends the worker at start, with the reason', async () => {
  const started = async (declare: (shop: ReturnType<typeof customersApp>) => void): Promise<unknown> => {
    const shop = customersApp()
    declare(shop)
    const t = await testApp(shop.app).catch((thrown: unknown) => thrown)
    return t
  }
  const other = await started(({ app, customers }) => {
    const wide = app.topic('wide', { value: 'string' })
    app.agent('join', wide, async (stream) => {
      for await (const _ of stream.join(customers, {}, () => 1));
    })
  })
  expect(other).toMatchObject({ code: 'NOT_COPARTITIONED', message: expect.stringMatching(/people.*2.*wide.*8/) })
  const keys = await started(({ app, customers }) => {
    const numbers = app.topic('numbers', { key: 'number', value: 'string', partitions: 2 })
    app.agent('join', numbers, async (stream) => {
      const table: { readonly isGlobal: false } = customers
      for await (const _ of stream.join(table as never, {}, () => 1));
    })
  })
  expect(keys).toMatchObject({ code: 'KEY_CODEC_DIFFERS', message: expect.stringContaining('number') })
  expect(() => {
    const app = createApp({ id: 'shop' })
    const people = app.topic('people', { key: 'number', value: 'string' })
    return app.table('customers', { key: 'string', value: 'string', from: people as never })
  }).toThrow(/KEY_CODEC_DIFFERS.*"customers".*string.*"people".*number/)
})

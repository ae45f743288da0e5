import { createApp, json } from '@millrace/app'
import fc from 'fast-check'
import { expect, expectTypeOf, test } from 'vitest'
import { testApp } from '../index.ts'

interface Order {
  readonly item: number
  readonly customer: string | null
}

function shopApp(kind: 'inner' | 'left', processingGuarantee: 'at-least-once' | 'exactly-once') {
  const app = createApp({ id: 'shop', processingGuarantee })
  const orderTopic = app.topic('orders', { key: 'string', value: json<Order>(), partitions: 3, tombstones: true })
  const people = app.topic('people', { key: 'string', value: 'string', partitions: 2, tombstones: true })
  const out = app.topic('out', { key: 'string', value: 'string', partitions: 1 })
  const orders = app.table('orders', { key: 'string', value: json<Order>(), from: orderTopic })
  const customers = app.table('customers', { key: 'string', value: 'string', from: people })
  const on = (order: Order): string | null => order.customer
  const named = app.joinTables('named', orders, customers, { on, kind, to: out, value: 'string' }, ({ item }, name) => {
    expectTypeOf(item).toEqualTypeOf<number>()
    return `${item} ${name ?? 'nobody'}`
  })
  return { app, orderTopic, people, out, named }
}

type Change =
  | { readonly side: 'order'; readonly key: string; readonly value: Order | null }
  | { readonly side: 'customer'; readonly key: string; readonly value: string | null }

/** By hand: what each change leaves behind. */
function expected(changes: readonly Change[], kind: 'inner' | 'left'): Readonly<Record<string, string>> {
  const orders = new Map<string, Order>()
  const customers = new Map<string, string>()
  for (const { side, key, value } of changes) {
    if (side === 'order') {
      if (value === null) orders.delete(key)
      else orders.set(key, value)
    } else if (value === null) customers.delete(key)
    else customers.set(key, value)
  }
  const rows = [...orders].flatMap(([key, { item, customer }]) => {
    const name = customer === null ? undefined : customers.get(customer)
    return name === undefined && kind === 'inner' ? [] : [[key, `${item} ${name ?? 'nobody'}`] as const]
  })
  return Object.fromEntries(rows)
}

async function send(
  { orderTopic, people }: ReturnType<typeof shopApp>,
  t: Awaited<ReturnType<typeof testApp>>,
  change: Change,
) {
  if (change.side === 'order') await t.send(orderTopic, { key: change.key, value: change.value })
  else await t.send(people, { key: change.key, value: change.value })
}

async function rowsOf({ named }: ReturnType<typeof shopApp>): Promise<Readonly<Record<string, string>>> {
  const rows: Record<string, string> = {}
  for await (const [key, value] of named.entries()) rows[key] = value
  return rows
}

const REFERENCES = [null, 'x', 'y'] as const
/** What an order may be: not there, of nobody, of a customer that is there, or of one that is not. */
const STATES: readonly (Order | null)[] = [null, ...REFERENCES.map((customer, n) => ({ item: n, customer }))]

test.each(['inner', 'left'] as const)(
  'each change of a reference, with and without rows on the other side: %s',
  async (kind) => {
    const shop = shopApp(kind, 'at-least-once')
    await using t = await testApp(shop.app)
    const changes: Change[] = []
    const apply = async (change: Change): Promise<void> => {
      changes.push(change)
      await send(shop, t, change)
    }
    await apply({ side: 'customer', key: 'x', value: 'Xenia' })
    let order = 0
    for (const before of STATES)
      for (const after of STATES) {
        const key = `o${order++}`
        if (before !== null) await apply({ side: 'order', key, value: before })
        await t.settle()
        await apply({ side: 'order', key, value: after })
      }
    await t.settle()
    expect(await rowsOf(shop)).toEqual(expected(changes, kind))
    // Of what nobody ever had, no tombstone goes out.
    const sent = t.sent(shop.out)
    for (const [nth, { key, value }] of sent.entries())
      if (value === null) expect(sent.slice(0, nth).some((each) => each.key === key && each.value !== null)).toBe(true)
    await apply({ side: 'customer', key: 'y', value: 'Yves' })
    await apply({ side: 'customer', key: 'x', value: null })
    await t.settle()
    expect(await rowsOf(shop)).toEqual(expected(changes, kind))
  },
)

const changes = fc.array(
  fc.oneof(
    fc.record({
      side: fc.constant('order' as const),
      key: fc.constantFrom('1', '2', '3'),
      value: fc.option(fc.record({ item: fc.nat({ max: 9 }), customer: fc.constantFrom(...REFERENCES) })),
    }),
    fc.record({
      side: fc.constant('customer' as const),
      key: fc.constantFrom('x', 'y'),
      value: fc.option(fc.constantFrom('Ada', 'Bob')),
    }),
  ),
  { minLength: 1, maxLength: 30 },
)

test.each(['at-least-once', 'exactly-once'] as const)(
  'whatever order changes and answers come in, the rows end as brute force says, over kills: %s',
  async (guarantee) => {
    await fc.assert(
      fc.asyncProperty(
        changes,
        fc.constantFrom('inner' as const, 'left' as const),
        fc.nat({ max: 30 }),
        async (all, kind, at) => {
          const shop = shopApp(kind, guarantee)
          await using t = await testApp(shop.app)
          for (const [nth, change] of all.entries()) {
            await send(shop, t, change)
            // Only now and then, so that several changes are on their way at once.
            if (nth % 3 === 0) await t.settle()
            if (nth !== at) continue
            for (const worker of t.all) await worker.kill()
            await t.worker()
          }
          await t.settle()
          await t.clock.advance('2s')
          expect(await rowsOf(shop)).toEqual(expected(all, kind))
          const last = new Map(t.sent(shop.out).map(({ key, value }) => [key, value]))
          const rows = Object.fromEntries([...last].filter(([, value]) => value !== null))
          expect(rows).toEqual(expected(all, kind))
        },
      ),
      { numRuns: Number(process.env['JOIN_RUNS'] ?? 6) },
    )
  },
)

test('an outer join by foreign key is refused', () => {
  const app = createApp({ id: 'shop' })
  const left = app.table('left', { key: 'string', value: 'string' })
  const right = app.table('right', { key: 'number', value: 'string' })
  const options = { on: (text: string) => text.length, kind: 'outer' as 'left' }
  expect(() => app.joinTables('wrong', left, right, options, (a) => a)).toThrow(/DEFINITION_INVALID.*'outer'/)
})

import { createApp, json, runtimeOf, type App } from '@millrace/app'
import { afterEach, expect, test } from 'vitest'
import { testApp } from '../index.ts'

const before = process.env['NODE_ENV']
afterEach(() => {
  if (before === undefined) delete process.env['NODE_ENV']
  else process.env['NODE_ENV'] = before
})

test('values of tables are frozen in production too, unless a setting turns that off', () => {
  process.env['NODE_ENV'] = 'production'
  expect(runtimeOf(createApp({ id: 'a', broker: 'memory:' })).surroundings.freeze).toBe(true)
  expect(runtimeOf(createApp({ id: 'b', broker: 'memory:', freeze: false })).surroundings.freeze).toBe(false)
})

test('changing a value in place fails the event; the error names table and key', async () => {
  const app: App = createApp({ id: 'shop', broker: 'memory:' })
  const orders = app.topic('orders', { key: 'string', value: 'string', partitions: 1 })
  const carts = app.table('carts', { key: 'string', value: json<{ items: string[] }>(), partitions: 1 })
  app.agent(
    'fill',
    orders,
    async (stream) => {
      for await (const [customer, item] of stream.items()) {
        const cart = carts.get(customer)
        if (cart === undefined) carts.set(customer, { items: [item] })
        else Reflect.apply(Array.prototype.push, cart.items, [item])
      }
    },
    { onError: 'deadLetter' },
  )
  await using t = await testApp(app)
  await t.send(orders, { key: 'ann', value: 'milk' })
  await t.send(orders, { key: 'ann', value: 'bread' })
  await t.settle()
  const errors = t.logged.lines.flatMap(({ fields }) => Object.values(fields).map(String))
  expect(errors.find((text) => text.includes('VALUE_FROZEN'))).toContain('key "ann" of table "carts"')
  expect(carts.get('ann')).toEqual({ items: ['milk'] })
})

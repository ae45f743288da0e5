import { testApp } from '@millrace/testing'
import { expect, test } from 'vitest'
import { app, customers, invoices, orders, spent } from './app.ts'

const ann = { name: 'Ann', card: '4111 1111 1111 1111', tier: 'gold' } as const

test('charges an order and writes its invoice', async () => {
  await using t = await testApp(app)
  await t.send(customers, { key: 'c1', value: ann })
  await t.settle()
  await t.send(orders, { key: 'c1', value: { id: 'o1', cents: 1200 } })
  // Under exactly once, records sent by an event are visible only after the next commit.
  await t.clock.advance('1s')
  expect(spent.get('c1')).toBe(1200)
  expect(t.sent(invoices).map(({ value }) => value)).toEqual([{ orderId: 'o1', name: 'Ann', cents: 1200 }])
  expect(await (await t.fetch('/spent/c1/')).json()).toEqual({ customer: 'c1', cents: 1200 })
})

test('retries an order that arrives before its customer', async () => {
  await using t = await testApp(app)
  await t.send(orders, { key: 'c2', value: { id: 'o2', cents: 500 } })
  await t.settle()
  await t.send(customers, { key: 'c2', value: { ...ann, name: 'Bob' } })
  await t.clock.advance('5s')
  expect(spent.get('c2')).toBe(500)
  expect(t.sent(invoices)).toHaveLength(1)
})

test('an order with a refused card becomes a dead letter at once', async () => {
  await using t = await testApp(app)
  await t.send(customers, { key: 'c3', value: { ...ann, card: '4111 1111 1111 0000' } })
  await t.settle()
  await t.send(orders, { key: 'c3', value: { id: 'o3', cents: 700 } })
  await t.clock.advance('1s')
  expect(spent.get('c3')).toBe(0)
  expect(t.sent(invoices)).toHaveLength(0)
  const letter = await t.deadLetters.show('invoice-orders', 'latest')
  expect(letter?.failure.message).toBe('The card …0000 was refused.')
})

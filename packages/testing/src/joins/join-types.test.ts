import { createApp, json, type Stream } from '@millrace/app'
import { expect, expectTypeOf, test } from 'vitest'

interface Order {
  readonly customer: string
}

test('joins are typed end to end without casts', () => {
  const app = createApp({ id: 'typed' })
  const orders = app.topic('orders', { key: 'string', value: json<Order>() })
  const payments = app.topic('payments', { key: 'string', value: 'number' })
  const people = app.topic('people', { key: 'string', value: json<{ name: string }>() })
  const customers = app.table('customers', { key: 'string', value: json<{ name: string }>(), from: people })
  const numbers = app.table('numbers', { key: 'number', value: 'string' })
  const rates = app.globalTable('rates', { key: 'number', value: 'string' })
  const declared = app.agent('join', orders, async (stream) => {
    expectTypeOf(
      stream.join(customers, { kind: 'left' }, (order, row) => [order.customer, row?.name] as const),
    ).toEqualTypeOf<Stream<string, readonly [string, string | undefined]>>()
    expectTypeOf(stream.join(customers, {}, (_order, row) => row.name)).toEqualTypeOf<Stream<string, string>>()
    expectTypeOf(stream.join(numbers, { on: (order) => order.customer.length }, (_, row) => row)).toEqualTypeOf<
      Stream<number, string>
    >()
    expectTypeOf(stream.join(rates, { on: (order) => order.customer.length }, (_, row) => row)).toEqualTypeOf<
      Stream<string, string>
    >()
    expectTypeOf(stream.join(payments, { within: '1m' }, (order, amount) => [order, amount] as const)).toEqualTypeOf<
      Stream<string, readonly [Order, number]>
    >()
    expectTypeOf(
      stream.join(payments, { within: '1m', kind: 'left' }, (order, amount) => [order, amount] as const),
    ).toEqualTypeOf<Stream<string, readonly [Order, number | undefined]>>()
    expectTypeOf(
      stream.join(payments, { within: '1m', kind: 'outer' }, (order, amount) => [order, amount] as const),
    ).toEqualTypeOf<Stream<string, readonly [Order | undefined, number | undefined]>>()
    // @ts-expect-error the table has numbers as keys
    void (() => stream.join(numbers, { on: (order) => order.customer }, () => 1))
    // @ts-expect-error a table knows no right join
    void (() => stream.join(customers, { kind: 'right' }, () => 1))
  })
  expect(declared.name).toBe('join')
  // @ts-expect-error the topic has other values
  void (() => app.table('wrong', { key: 'string', value: 'number', from: people }))
})

import { createApp } from '@millrace/app'
import { testApp } from '@millrace/testing'
import { expect, test } from 'vitest'
import { paymentFlow } from './payment-flow.ts'
import { declarePayments } from './payments.ts'

test.each(['at-least-once', 'exactly-once'] as const)(
  'the flow in memory, with 2 workers: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'payments', processingGuarantee })
    const shop = declarePayments(app)
    await using t = await testApp(app)
    await t.worker()
    await paymentFlow({
      shop,
      until: async (what, holds) => {
        for (let turn = 0; turn < 20 && !(await holds()); turn++) {
          await t.settle()
          await t.clock.advance('1s')
        }
        expect(await holds(), what).toBe(true)
      },
      settled: async () => t.sent(shop.settled).map(({ key, value }) => [key ?? '', value]),
    })
  },
)

test('a payment that comes too late goes to its topic', async () => {
  const app = createApp({ id: 'payments' })
  const { orders, payments, late } = declarePayments(app)
  await using t = await testApp(app)
  const value = { customer: 'c0', item: 'book', amount: 100 }
  for (const timestamp of [0, 3_600_000]) {
    await t.send(orders, { key: 'order-1', value, timestamp })
    await t.send(payments, { key: 'order-1', value: { amount: 100 }, timestamp })
  }
  await t.settle()
  await t.send(payments, { key: 'order-1', value: { amount: 7 }, timestamp: 60_000 })
  await t.settle()
  expect(t.sent(late).map((record) => record.value)).toEqual([{ amount: 7 }])
})

import { createApp } from '@millrace/app'
import { testApp } from '@millrace/testing'
import { expect, test } from 'vitest'
import { paymentFlow } from './payment-flow.ts'
import { declarePayments } from './payments.ts'

const MINUTE = 60_000
const BOOK = { request: 'r1', customer: 'c0', item: 'book', amount: 100 }

test.each(['at-least-once', 'exactly-once'] as const)(
  'the flow in memory, with 2 workers: %s',
  async (processingGuarantee) => {
    const app = createApp({ id: 'payments', processingGuarantee })
    const shop = declarePayments(app, { remindAfterMs: 5000 })
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
      sent: async (of) => t.sent(shop[of]).map(({ key, value }) => [key ?? '', value]),
    })
    // By the clock of the test every payment was in time.
    expect(t.sent(shop.reminded)).toHaveLength(16)
  },
)

test('a payment that comes too late goes to its topic', async () => {
  const app = createApp({ id: 'payments' })
  const { requests, payments, late } = declarePayments(app)
  await using t = await testApp(app)
  for (const timestamp of [0, 60 * MINUTE]) {
    await t.send(requests, { key: 'order-1', value: { ...BOOK, request: `r${timestamp}` }, timestamp })
    await t.send(payments, { key: 'order-1', value: { amount: 100 }, timestamp })
  }
  await t.settle()
  await t.send(payments, { key: 'order-1', value: { amount: 7 }, timestamp: MINUTE })
  await t.settle()
  expect(t.sent(late).map((record) => record.value)).toEqual([{ amount: 7 }])
})

test('a customer is reminded once, although every worker was killed before it was time', async () => {
  const app = createApp({ id: 'payments', processingGuarantee: 'exactly-once' })
  const { requests, payments, reminded } = declarePayments(app)
  await using t = await testApp(app)
  await t.send(requests, { key: 'order-1', value: BOOK })
  await t.send(requests, { key: 'order-2', value: { ...BOOK, request: 'r2' } })
  await t.advance('7m')
  await t.send(payments, { key: 'order-2', value: { amount: 100 } })
  await t.advance('1s')
  for (const worker of t.all) await worker.kill()
  await t.clock.advance('10m')
  await t.worker()
  // The shop is not sure that its request has arrived.
  await t.send(requests, { key: 'order-1', value: BOOK })
  await t.advance('10m')
  expect(t.sent(reminded).map(({ key, value }) => [key, value])).toEqual([['order-1', BOOK]])
})

import { type App, json } from '@millrace/app'
import { z } from 'zod'

export const Order = z.object({
  customer: z.string(),
  item: z.string(),
  /** In cents. */ amount: z.number().int().positive(),
})
export const Payment = z.object({ /** In cents. */ amount: z.number().int().positive() })
export const Customer = z.object({ name: z.string() })

/** How long an order waits for its payment. */
const WITHIN = '10m'

/** Orders joined with payments and customers. `prefix`: of the topics, which several apps on one broker keep apart. */
export function declarePayments(app: App, prefix = '') {
  const orders = app.topic(`${prefix}orders`, { key: 'string', value: json(Order), partitions: 4 })
  const payments = app.topic(`${prefix}payments`, { key: 'string', value: json(Payment), partitions: 4 })
  const people = app.topic(`${prefix}people`, { key: 'string', value: json(Customer), partitions: 2 })
  const settled = app.topic(`${prefix}settled`, { key: 'string', value: 'json', partitions: 4 })
  const late = app.topic(`${prefix}late-payments`, { key: 'string', value: 'json', partitions: 1 })

  const customers = app.table('customers', {
    key: 'string',
    value: json(Customer),
    from: people,
    help: 'customer -> name',
  })

  // Each order with its payment, or without one when none has come in time.
  app.agent('settle', orders, async (stream) => {
    const joined = stream.join(payments, { within: WITHIN, grace: '1m', kind: 'left', late }, (order, payment) => ({
      ...order,
      paid: payment?.amount ?? 0,
    }))
    await joined.to(settled)
  })

  // Open orders by number, each with the name of its customer: it follows changes of both.
  const open = app.table('open-orders', {
    key: 'string',
    value: json(Order),
    partitions: 4,
    help: 'order -> what was ordered',
  })
  app.agent('keep-open', orders, async (stream) => {
    for await (const { key, value } of stream.events()) open.set(key, value)
  })
  const named = app.joinTables(
    'named-orders',
    open,
    customers,
    { on: (order) => order.customer, kind: 'left' },
    (order, customer) => ({
      item: order.item,
      name: customer?.name ?? 'unknown',
    }),
  )

  return { orders, payments, people, settled, late, customers, open, named }
}

export type Shop = ReturnType<typeof declarePayments>

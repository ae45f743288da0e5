import { createApp, json } from '@millrace/app'
import { CardRefused, charge } from './charge.ts'
import { Customer, Invoice, Order } from './schemas.ts'

export const app = createApp({
  id: 'template-orders',
  // An order's invoice, its row in `spent` and its offset are one transaction: after a crash none of them counts twice.
  processingGuarantee: 'exactly-once',
  // Tables are on disk: a restart reads only the ends of their changelogs.
  store: 'lmdb:',
})

// Both topics have the customer's id as their key, and the same number of partitions: a customer's orders are handled by
// the worker that has the customer's row.
export const customers = app.topic('customers', { key: 'string', value: json(Customer), partitions: 8 })
export const orders = app.topic('orders', { key: 'string', value: json(Order), partitions: 8 })
export const invoices = app.topic('invoices', { key: 'string', value: json(Invoice), partitions: 8 })

export const customerById = app.table('customer_by_id', {
  key: 'string',
  value: json(Customer),
  help: 'customer id -> customer',
})
export const spent = app.table('spent', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'customer id -> cents',
})

app.agent(
  'remember-customers',
  customers,
  async (stream) => {
    for await (const [id, customer] of stream.items()) customerById.set(id, customer)
  },
  { help: 'Keeps the newest state of each customer' },
)

/** The order arrived before its customer: worth a retry. */
class CustomerUnknown extends Error {
  override readonly name: string = 'CustomerUnknown'
}

app.agent(
  'invoice-orders',
  orders,
  async (stream) => {
    for await (const [customerId, order] of stream.items()) {
      const customer = customerById.get(customerId)
      if (customer === undefined) throw new CustomerUnknown(`There is no customer ${customerId} yet.`)
      // The order's id makes the charge safe to repeat: a crash may repeat effects outside Kafka.
      await charge({ idempotencyKey: order.id, card: customer.card, cents: order.cents })
      spent.update(customerId, (cents) => cents + order.cents)
      await invoices.send({ key: customerId, value: { orderId: order.id, name: customer.name, cents: order.cents } })
    }
  },
  {
    help: 'Charges orders and writes invoices',
    concurrency: 16,
    // Retrying does not help a refused card: straight to the dead letters. Other errors are retried first. Inspect and
    // replay dead letters with `millrace dlq list`, `show` and `replay`.
    onError: ({ error }) => (error instanceof CardRefused ? 'deadLetter' : { retry: 5, backoff: '200ms' }),
  },
)

app.page(
  '/spent/:customer/',
  app.tableRoute(spent, { param: 'customer' }, (c, customer) => c.json({ customer, cents: spent.get(customer) })),
)

import { type App, json } from '@millrace/app'
import { z } from 'zod'

export const Order = z.object({
  /** The id of the request that placed it. A shop that is not sure whether it has placed an order sends it again. */
  request: z.string(),
  customer: z.string(),
  item: z.string(),
  /** In cents. */ amount: z.number().int().positive(),
})
export const Payment = z.object({ /** In cents. */ amount: z.number().int().positive() })
export const Customer = z.object({ name: z.string() })

/** How long an order waits for its payment. */
const WITHIN = '10m'
/** How long a request is known, and a payment that may have come before its order. */
const KNOWN_FOR = '1d'

export interface PaymentsOptions {
  /** Of the topics, which several apps on one broker keep apart. */
  readonly prefix?: string
  /** After this time without a payment the customer is reminded, in milliseconds. */
  readonly remindAfterMs?: number
}

/** Orders joined with payments and customers, and reminders of those that are not paid. */
export function declarePayments(app: App, { prefix = '', remindAfterMs = 8 * 60_000 }: PaymentsOptions = {}) {
  const requests = app.topic(`${prefix}orders`, { key: 'string', value: json(Order), partitions: 4 })
  const orders = app.topic(`${prefix}accepted-orders`, { key: 'string', value: json(Order), partitions: 4 })
  const payments = app.topic(`${prefix}payments`, { key: 'string', value: json(Payment), partitions: 4 })
  const people = app.topic(`${prefix}people`, { key: 'string', value: json(Customer), partitions: 2 })
  const settled = app.topic(`${prefix}settled`, { key: 'string', value: 'json', partitions: 4 })
  const reminded = app.topic(`${prefix}reminders`, { key: 'string', value: json(Order), partitions: 4 })
  const late = app.topic(`${prefix}late-payments`, { key: 'string', value: 'json', partitions: 1 })

  const customers = app.table('customers', {
    key: 'string',
    value: json(Customer),
    from: people,
    help: 'customer -> name',
  })

  // Each order once, however often it was sent.
  app.agent('accept', requests, async (stream) => {
    await stream.dedupe({ by: (order) => order.request, within: KNOWN_FOR }).to(orders)
  })

  // Each order with its payment, or without one when none has come in time.
  app.agent('settle', orders, async (stream) => {
    const joined = stream.join(payments, { within: WITHIN, grace: '1m', kind: 'left', late }, (order, payment) => ({
      ...order,
      paid: payment?.amount ?? 0,
    }))
    await joined.to(settled)
  })

  // A reminder of each order that is not paid in time. People wait by the clock, so these timers go by it, too.
  const unpaid = app.keyTimers('unpaid', { key: 'string', value: json(Order), clock: 'wall', partitions: 4 })
  const paid = app.table('paid', { key: 'string', value: 'number', ttl: KNOWN_FOR, partitions: 4 })
  app.agent('await-payment', orders, async (stream) => {
    for await (const { key, value } of stream.merge(payments).events()) {
      if ('customer' in value) {
        // A payment may come before its order.
        if (!paid.has(key)) unpaid.set(key, 'reminder', app.clock.now() + remindAfterMs, value)
      } else {
        paid.set(key, value.amount)
        unpaid.cancel(key, 'reminder')
      }
    }
  })
  app.agent('remind', unpaid, async (due) => {
    for await (const { key, value } of due) await reminded.send({ key, value })
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

  return { requests, payments, people, settled, reminded, late, customers, open, paid, named }
}

export type Shop = ReturnType<typeof declarePayments>

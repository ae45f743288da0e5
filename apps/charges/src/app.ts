import { createApp, json } from '@millrace/app'
import { z } from 'zod'

export const app = createApp({ id: 'charges' })

export const Order = z.object({
  customer: z.string(),
  /** In cents. */
  amount: z.number().int().positive(),
})

export const orders = app.topic('orders', { key: 'string', value: json(Order) })

export const charged = app.table('charged', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'customer -> cents',
})
export const ordered = app.table('ordered', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'customer -> orders',
})

class CardExpired extends Error {
  readonly code: string = 'CARD_EXPIRED'
}

/** Stands for the world outside: customers whose cards nobody can charge today. */
const expired = new Set((process.env['EXPIRED_CARDS'] ?? '').split(','))

app.agent(
  'charge',
  orders,
  async (stream) => {
    for await (const { customer, amount } of stream) {
      charged.update(customer, (sum) => sum + amount)
      // Whatever was done for the event before it fails is taken back.
      if (expired.has(customer)) throw new CardExpired(`The card of ${customer} has expired.`)
    }
  },
  { concurrency: 4, onError: { retry: 2, backoff: '50ms' }, help: 'Charges customers; what fails can be replayed' },
)

app.agent(
  'count-orders',
  orders,
  async (stream) => {
    for await (const { customer } of stream) ordered.update(customer, (count) => count + 1)
  },
  { onError: 'skip', help: 'Counts orders, each once, whatever becomes of the charge' },
)

await app.main(import.meta)

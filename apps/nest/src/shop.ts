import { type App, createApp, json, type Logger } from '@millrace/app'
import { z } from 'zod'

export const Order = z.object({ customer: z.string().min(1), /** In cents. */ amount: z.number().int().positive() })
export type Order = z.infer<typeof Order>

/** What the application does with each order: a service of Nest's. */
export interface Receipts {
  write(order: Order): Promise<void>
}

/** The worker of the shop. Other workers and operators reach its own site, on a port that is not published. */
export function createShop(receipts: Receipts, log: Logger) {
  const app: App = createApp({ id: 'shop', web: { port: 6066 } }, { log })
  const orders = app.topic('orders', { key: 'string', value: json(Order) })
  const totals = app.table('totals', { key: 'string', value: 'number', default: () => 0 })
  app.agent('sum', orders, async (stream) => {
    for await (const order of stream) {
      totals.update(order.customer, (sum) => sum + order.amount)
      await receipts.write(order)
    }
  })
  app.page(
    '/totals/:customer/',
    app.tableRoute(totals, { param: 'customer' }, (c, customer) => c.json({ customer, total: totals.get(customer) })),
  )
  return { app, orders }
}

export type Shop = ReturnType<typeof createShop>

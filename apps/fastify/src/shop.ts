import { createApp, json, type Logger } from '@millrace/app'
import { z } from 'zod'

export const Order = z.object({ customer: z.string().min(1), /** In cents. */ amount: z.number().int().positive() })

/** The worker of the shop, in whatever process. Other workers and operators reach its own site, on a port that is not published. */
export function createShop(log: Logger) {
  const app = createApp({ id: 'shop', web: { port: 6066 } }, { log })
  const orders = app.topic('orders', { key: 'string', value: json(Order) })
  const totals = app.table('totals', { key: 'string', value: 'number', default: () => 0 })
  app.agent('sum', orders, async (stream) => {
    for await (const { customer, amount } of stream) totals.update(customer, (sum) => sum + amount)
  })
  app.page(
    '/totals/:customer/',
    app.tableRoute(totals, { param: 'customer' }, (c, customer) => c.json({ customer, total: totals.get(customer) })),
  )
  return { app, orders }
}

import { createApp } from '@millrace/app'
import { declarePayments } from './payments.ts'

export const app = createApp({ id: 'payments' })

const { named } = declarePayments(app)

app.page(
  '/orders/:order/',
  app.tableRoute(named, { param: 'order' }, (c, order) => c.json(named.get(order) ?? null)),
)

await app.main(import.meta)

import { createApp, json } from '@millrace/app'

interface Payment {
  n: number
  user: string
  amount: number
  pad: string
}
const { BROKERS = '', INPUT = '', OUTPUT = '', GROUP = '', GUARANTEE = 'at-least-once', COMMIT = '' } = process.env
const app = createApp({
  id: GROUP,
  broker: `kafka://${BROKERS}`,
  processingGuarantee: GUARANTEE === 'exactly-once' ? 'exactly-once' : 'at-least-once',
  ...(COMMIT === '' ? {} : { commitInterval: Number(COMMIT) }),
  web: { enabled: false },
})
const output = app.topic(OUTPUT, { value: json<Payment>() })
app.agent('map', app.topic(INPUT, { value: json<Payment>() }), async (payments) => {
  for await (const [key, payment] of payments.items())
    await output.send({ key, value: { ...payment, amount: payment.amount * 2 } })
})
await app.start()
console.log(JSON.stringify({ mark: 'running' }))
process.once('SIGTERM', () => void app.stop())

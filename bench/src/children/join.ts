import { createApp, json } from '@millrace/app'

interface Payment {
  readonly n: number
}
const { BROKERS = '', INPUT = '', OTHER = '', OUTPUT = '', GROUP = '', WITHIN = '0' } = process.env
const app = createApp({ id: GROUP, broker: `kafka://${BROKERS}`, web: { enabled: false } })
const payments = { key: 'string', value: json<Payment>() } as const
const output = app.topic(OUTPUT, { key: 'string', value: json<object>() })
const other = app.topic(OTHER, payments)
app.agent('join', app.topic(INPUT, payments), async (stream) => {
  const pairs = stream.join(other, { within: Number(WITHIN) }, (left, right) => ({ left: left.n, right: right.n }))
  await pairs.to(output)
})
await app.start()
process.once('SIGTERM', () => void app.stop())

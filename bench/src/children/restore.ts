import { createApp, json } from '@millrace/app'

const { BROKERS = '', INPUT = '', GROUP = '', STORE = 'memory:' } = process.env
const app = createApp({ id: GROUP, broker: `kafka://${BROKERS}`, store: STORE, web: { enabled: false } })
app.table('payments', { key: 'string', value: json<{ n: number }>() })
app.agent('none', app.topic(INPUT, { value: json<{ n: number }>() }), async (payments) => {
  for await (const _payment of payments);
})
await app.start()
console.log(JSON.stringify({ mark: 'done', rate: app.stats()?.states['payments']?.recovery.rowsPerSecond ?? 0 }))
process.once('SIGTERM', () => void app.stop())

// Counts into LMDB, and says when it has counted everything, or the first event after a restart.
import { createApp, json } from '@millrace/app'

const { BROKERS = '', INPUT = '', GROUP = '', DIRECTORY = '', GUARANTEE = 'at-least-once' } = process.env
const app = createApp({
  id: GROUP,
  broker: `kafka://${BROKERS}`,
  store: `lmdb:${DIRECTORY}`,
  processingGuarantee: GUARANTEE === 'exactly-once' ? 'exactly-once' : 'at-least-once',
  web: { enabled: false },
})
const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
let seen = 0
app.agent('count', app.topic(INPUT, { value: json<{ user: string }>() }), async (payments) => {
  for await (const { user } of payments) {
    counts.update(user, (n) => n + 1)
    if (++seen === 1) console.log(JSON.stringify({ mark: 'first' }))
  }
})
await app.start()
console.log(JSON.stringify({ mark: 'started', rows: app.stats()?.states['counts']?.rows ?? 0 }))
process.once('SIGTERM', () => void app.stop())

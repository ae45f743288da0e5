import { createApp, json } from '@millrace/app'

const { BROKERS = '', INPUT = '', GROUP = '', RECORDS = '0', GUARANTEE = 'at-least-once', COMMIT = '' } = process.env
const app = createApp({
  id: GROUP,
  broker: `kafka://${BROKERS}`,
  processingGuarantee: GUARANTEE === 'exactly-once' ? 'exactly-once' : 'at-least-once',
  ...(COMMIT === '' ? {} : { commitInterval: Number(COMMIT) }),
  web: { enabled: false },
})
const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
const total = Number(RECORDS)
let seen = 0
let fromMs = 0
app.agent('count', app.topic(INPUT, { value: json<{ user: string }>() }), async (payments) => {
  for await (const { user } of payments) {
    counts.update(user, (n) => n + 1)
    seen++
    if (seen === total * 0.1) {
      fromMs = performance.now()
      console.log(JSON.stringify({ mark: 'begun' }))
    }
    if (seen === total * 0.9)
      console.log(JSON.stringify({ mark: 'done', rate: (total * 0.8 * 1000) / (performance.now() - fromMs) }))
    if (seen === total) console.log(JSON.stringify({ mark: 'all' }))
  }
})
await app.start()
console.log(JSON.stringify({ mark: 'running' }))
process.once('SIGTERM', () => void app.stop())

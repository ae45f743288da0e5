// Sets a timer for each record, an hour from now.
import { createApp, json } from '@millrace/app'

const { BROKERS = '', INPUT = '', GROUP = '', RECORDS = '0', DIRECTORY = '' } = process.env
const app = createApp({
  id: GROUP,
  broker: `kafka://${BROKERS}`,
  store: `lmdb:${DIRECTORY}`,
  web: { enabled: false },
})
const timers = app.keyTimers('timers', { key: 'string', value: 'number', clock: 'wall' })
const total = Number(RECORDS)
let seen = 0
let fromMs = 0
app.agent('set', app.topic(INPUT, { key: 'string', value: json<{ n: number }>() }), async (payments) => {
  for await (const [key, { n }] of payments.items()) {
    timers.set(key, String(n), app.clock.now() + 3_600_000, n)
    seen++
    if (seen === total * 0.1) fromMs = performance.now()
    if (seen === total * 0.9)
      console.log(JSON.stringify({ mark: 'done', rate: (total * 0.8 * 1000) / (performance.now() - fromMs) }))
    if (seen === total) console.log(JSON.stringify({ mark: 'all' }))
  }
})
app.agent('fired', timers, async (fired) => {
  for await (const { key } of fired) throw new Error(`The timer of ${key} went off within an hour.`)
})
await app.start()
console.log(JSON.stringify({ mark: 'started', timers: app.stats()?.states['timers']?.rows ?? 0 }))
process.once('SIGTERM', () => void app.stop())

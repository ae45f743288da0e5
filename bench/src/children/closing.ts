// Fills windows that all close, and expire, at the same moment; says for how long the event loop had no turn meanwhile.
import { setTimeout as wait } from 'node:timers/promises'
import { createApp, json } from '@millrace/app'
import { Turns } from './turns.ts'

const { BROKERS = '', INPUT = '', GROUP = '', RECORDS = '0', STORE = 'memory:' } = process.env
const app = createApp({ id: GROUP, broker: `kafka://${BROKERS}`, store: STORE, web: { enabled: false } })
const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
const minutes = counts.tumbling('1m', { retention: '1m' })
const total = Number(RECORDS)
const turns = new Turns()
let phaseFromMs = performance.now()
const mark = (name: string): void => {
  const seconds = (performance.now() - phaseFromMs) / 1000
  console.log(JSON.stringify({ mark: name, seconds, ...turns.take() }))
  phaseFromMs = performance.now()
}
let seen = 0
let closed = 0
app.agent('count', app.topic(INPUT, { value: json<{ user: string }>() }), async (payments) => {
  for await (const { user } of payments) {
    minutes.update(user, (n) => n + 1)
    if (++seen === total) mark('filled')
    // The first record behind them: what has been counted is committed by now.
    if (seen === total + 1) {
      phaseFromMs = performance.now()
      turns.take()
    }
  }
})
app.agent('closed', minutes.closed, async (windows) => {
  for await (const _window of windows) if (++closed === total) mark('closed')
})
await app.start()
turns.take()
process.once('SIGTERM', () => void app.stop())
// What is left are the windows of the records behind them.
while (closed < total || minutes.size > 100) await wait(50)
mark('expired')

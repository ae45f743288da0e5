// An agent that waits 10 ms for each event, with many in flight: checks the order per key as it goes.
import { setTimeout as wait } from 'node:timers/promises'
import { createApp, json } from '@millrace/app'

const { BROKERS = '', INPUT = '', GROUP = '', RECORDS = '0', CONCURRENCY = '64' } = process.env
const app = createApp({ id: GROUP, broker: `kafka://${BROKERS}`, web: { enabled: false } })
const total = Number(RECORDS)
const last = new Map<string, number>()
let seen = 0
let disordered = 0
let fromMs = 0
app.agent(
  'sleeper',
  app.topic(INPUT, { value: json<{ user: string; n: number }>() }),
  async (payments) => {
    for await (const { user, n } of payments) {
      if (fromMs === 0) fromMs = performance.now()
      if ((last.get(user) ?? -1) >= n) disordered++
      last.set(user, n)
      await wait(10)
      if (last.get(user) !== n) disordered++
      if (++seen === total)
        console.log(JSON.stringify({ mark: 'done', disordered, rate: (total * 1000) / (performance.now() - fromMs) }))
    }
  },
  { concurrency: Number(CONCURRENCY) },
)
await app.start()
process.once('SIGTERM', () => void app.stop())

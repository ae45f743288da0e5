// Runs the app on drivers of its own until Ctrl-C, in memory, with a visit each second.
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock, type Logger } from '@millrace/core'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { composeVisits } from './app.ts'
import { CountedTransport } from './counted-transport.ts'
import { plainWeb } from './plain-web.ts'
import { SortedStore } from './sorted-store.ts'

const log: Logger = { debug: () => {}, info: () => {}, warn: console.warn, error: console.error }
const transport = new CountedTransport(createMemoryTransport(createMemoryLog(), { clock: systemClock(), log }))
const { worker, visits, url } = composeVisits(
  { transport, store: new SortedStore(), web: plainWeb, log },
  { port: 6066 },
)

await worker.start()
console.log(`Counting visits: ${url()}visits/home/. Ctrl-C ends it.`)
const stopping = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]).then(() => true)
while (!(await Promise.race([stopping, wait(1000, false)]))) await visits.send({ key: 'home', value: 'somebody' })
await worker.stop()
console.log(`Sent by topic: ${[...transport.sent].map(([topic, records]) => `${topic} ${records}`).join(', ')}`)

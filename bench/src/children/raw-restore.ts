// Reading a changelog by hand on kafkajs into a Map of encoded rows.
import { Kafka, logLevel } from 'kafkajs'

const { BROKERS = '', INPUT = '', GROUP = '', RECORDS = '0' } = process.env
const kafka = new Kafka({ brokers: BROKERS.split(','), clientId: 'raw', logLevel: logLevel.NOTHING })
const consumer = kafka.consumer({ groupId: GROUP, maxWaitTimeInMs: 100 })
await consumer.connect()
await consumer.subscribe({ topic: INPUT, fromBeginning: true })
const rows = new Map<string, Buffer | null>()
const total = Number(RECORDS)
let seen = 0
let fromMs = 0
await consumer.run({
  eachBatch: async ({ batch }) => {
    if (fromMs === 0) fromMs = performance.now()
    for (const { key, value } of batch.messages) rows.set(String(key), value)
    seen += batch.messages.length
    if (seen >= total)
      console.log(JSON.stringify({ mark: 'done', rate: (total * 1000) / (performance.now() - fromMs) }))
  },
})
process.on('SIGTERM', () => void consumer.disconnect().then(() => process.exit(0)))

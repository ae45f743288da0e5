// The count job by hand on kafkajs: parse and count in a Map. No changelog, nothing survives.
import { Kafka, logLevel } from 'kafkajs'

const { BROKERS = '', INPUT = '', GROUP = '', RECORDS = '0' } = process.env
const kafka = new Kafka({ brokers: BROKERS.split(','), clientId: 'raw', logLevel: logLevel.NOTHING })
const consumer = kafka.consumer({ groupId: GROUP, maxWaitTimeInMs: 100 })
await consumer.connect()
await consumer.subscribe({ topic: INPUT, fromBeginning: true })
const counts = new Map<string, number>()
const total = Number(RECORDS)
let seen = 0
let fromMs = 0
await consumer.run({
  eachBatch: async ({ batch }) => {
    for (const { value } of batch.messages) {
      const { user } = JSON.parse(String(value))
      counts.set(user, (counts.get(user) ?? 0) + 1)
      seen++
      if (seen === total * 0.1) {
        fromMs = performance.now()
        console.log(JSON.stringify({ mark: 'begun' }))
      }
      if (seen === total * 0.9)
        console.log(JSON.stringify({ mark: 'done', rate: (total * 0.8 * 1000) / (performance.now() - fromMs) }))
    }
  },
})
process.on('SIGTERM', () => void consumer.disconnect().then(() => process.exit(0)))

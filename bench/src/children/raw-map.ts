// The map job by hand on kafkajs: parse, change, send on in batches, commit what is acknowledged.
import { Kafka, logLevel, type Message } from 'kafkajs'

const { BROKERS = '', INPUT = '', OUTPUT = '', BATCH = '500', GROUP = '' } = process.env
const kafka = new Kafka({ brokers: BROKERS.split(','), clientId: 'raw', logLevel: logLevel.NOTHING })
const consumer = kafka.consumer({ groupId: GROUP, maxWaitTimeInMs: 100 })
const producer = kafka.producer()
await Promise.all([consumer.connect(), producer.connect()])
await consumer.subscribe({ topic: INPUT, fromBeginning: true })
const size = Number(BATCH)
await consumer.run({
  eachBatchAutoResolve: true,
  eachBatch: async ({ batch, heartbeat }) => {
    for (let from = 0; from < batch.messages.length; from += size) {
      const messages: Message[] = []
      for (const { key, value } of batch.messages.slice(from, from + size)) {
        const record = JSON.parse(String(value))
        messages.push({ key, value: JSON.stringify({ ...record, amount: record.amount * 2 }) })
      }
      await producer.send({ topic: OUTPUT, messages })
    }
    await heartbeat()
  },
})
process.on('SIGTERM', () => void consumer.disconnect().then(() => process.exit(0)))

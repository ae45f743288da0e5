// Run by outage.kafka.test.ts: uses every client, prints "ready", and closes on request, after its broker has died.
import { once } from 'node:events'
import { NO_HEADERS, systemClock, type Logger } from '@millrace/core'
import { createKafkaTransport } from './kafka-transport.ts'
import { memberOptions } from './member-options.fixture.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const clock = systemClock()
const topic = `closing-${process.pid}`
const transport = createKafkaTransport(
  { brokers: (process.argv[2] ?? '').split(','), clientId: 'closing' },
  { clock, log: silent },
)
await transport.connect({ timeoutMs: 10_000 })
await transport.admin().createTopics([{ name: topic, partitions: 1, replicationFactor: -1, config: {} }])
const consumer = transport.consumer(
  memberOptions(topic, () => ({ assignments: new Map(), groupData: Buffer.alloc(0) })),
)
await consumer.start()
const reader = transport.reader({ isolation: 'read-committed' })
reader.assign({ topic, partition: 0 }, 0)
const reading = reader.batches()[Symbol.asyncIterator]().next()
const transactional = transport.transactionalProducer({ id: topic, timeoutMs: 10_000 })
await transactional.init()
process.stdout.write('ready\n')
await once(process.stdin, 'data')
const outcome = transport
  .producer()
  .send([{ topic, partition: 0, key: null, value: Buffer.from('x'), headers: NO_HEADERS, timestamp: 0 }], {
    guard: () => {},
  })
  .then(
    () => 'sent',
    () => 'rejected',
  )
await clock.sleep(500)
const startedMs = clock.monotonic()
await transport.close()
process.stdout.write(
  `closed in ${Math.round(clock.monotonic() - startedMs)} ms; the send was ${await outcome}; reading ended: ${String((await reading).done)}\n`,
)

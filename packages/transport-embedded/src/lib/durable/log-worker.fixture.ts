/**
 * A process for `kill.process.test.ts`: copies topic `in` to topic `out` exactly once as a member of a group, sends numbers to
 * topic `acks`, and writes a line to its standard output for each of them that is acknowledged.
 */
import { writeSync } from 'node:fs'
import {
  deferred,
  isMillraceError,
  NO_HEADERS,
  type OutgoingRecord,
  partitionKey,
  partitionsOf,
  type RecordBatch,
  systemClock,
  type TopicPartition,
} from '@millrace/core'
import type { GroupAssignor, TransactionalProducer } from '@millrace/core/driver'
import { createEmbeddedTransport } from '../embedded-transport.ts'

const [directory = '', name = ''] = process.argv.slice(2)
const clock = systemClock()
const transport = createEmbeddedTransport(
  { directory },
  {
    clock,
    log: {
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (fields, message) => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
    },
  },
)
await transport.connect({ timeoutMs: 5000 })

const assignor: GroupAssignor = {
  name: 'in-turn',
  assign: ({ members, partitions }) => {
    const ids = members.map(({ id }) => id)
    const all = [...partitions].flatMap(([topic, count]) => partitionsOf(topic, count))
    return {
      assignments: new Map(ids.map((id, index) => [id, all.filter((_, nth) => nth % ids.length === index)])),
      groupData: Buffer.alloc(0),
    }
  },
}

const producers = new Map<string, TransactionalProducer>()
let copying: Promise<void> = Promise.resolve()
/** Closed from revoke to assign: who hands out batches then works for partitions that may be another's already. */
let gate = deferred<void>()

const consumer = transport.consumer({
  groupId: 'copy',
  topics: ['in'],
  instanceId: undefined,
  assignor,
  memberData: () => new Uint8Array(0),
  sessionTimeoutMs: 3000,
  rebalanceTimeoutMs: 5000,
  heartbeatIntervalMs: 200,
  isolation: 'read-committed',
  maxPartitionBytes: 1000,
  listener: {
    onRevoke: () => {
      gate = deferred<void>()
      return copying
    },
    onAssign: async ({ lost, gained }) => {
      for (const partition of lost) producers.delete(partitionKey(partition))
      for (const partition of gained) await takeOver(partition)
      gate.resolve()
    },
    onLost: async () => {
      gate = deferred<void>()
      producers.clear()
    },
  },
})

/** Fence, then offsets, then seek: in that order only there is no double. */
async function takeOver(partition: TopicPartition): Promise<void> {
  const producer = transport.transactionalProducer({ id: `copy-${partition.partition}`, timeoutMs: 10_000 })
  await producer.init()
  producers.set(partitionKey(partition), producer)
  const [committed] = await consumer.committed([partition])
  consumer.seek(partition, committed?.offset ?? 0)
}

async function copy(batch: RecordBatch): Promise<void> {
  const producer = producers.get(partitionKey(batch))
  if (producer === undefined) return
  const { partition } = batch
  const records = batch.records.map(({ key, value, headers, timestamp }): OutgoingRecord => ({
    topic: 'out',
    partition,
    key,
    value,
    headers,
    timestamp,
  }))
  await producer.begin()
  await producer.send(records, { guard: () => {} })
  await producer.sendOffsets('copy', [{ topic: 'in', partition, offset: batch.nextOffset, metadata: name }])
  await producer.commit()
}

async function copyAll(): Promise<void> {
  for await (const batch of consumer.batches()) {
    await gate.promise
    copying = copy(batch)
    await copying
  }
}

let stopping = false

async function sendNumbers(): Promise<void> {
  const producer = transport.producer()
  for (let number = 0; !stopping; number++) {
    const value = Buffer.from(`${name} ${number}`)
    await producer.send(
      [{ topic: 'acks', partition: 0, key: null, value, headers: NO_HEADERS, timestamp: clock.now() }],
      { guard: () => {} },
    )
    writeSync(1, `${name} ${number}\n`)
    await clock.sleep(2)
  }
}

process.on('SIGTERM', () => {
  stopping = true
  void transport.close()
})
try {
  await consumer.start()
  await Promise.all([copyAll(), sendNumbers()])
} catch (error) {
  if (!stopping || !isMillraceError(error, 'CLOSED')) throw error
}

import { eventually } from '@millrace/conformance'
import {
  type Logger,
  NO_HEADERS,
  partitionKey,
  partitionsOf,
  type RecordBatch,
  systemClock,
  toError,
  type TopicPartition,
} from '@millrace/core'
import type { AssignmentChange, Consumer, GroupAssignor, Transport } from '@millrace/core/driver'
import { describeKafka } from '@millrace/kafka-for-tests'
import { AssignerProtocol, Kafka, logLevel } from 'kafkajs'
import { afterEach, expect, test } from 'vitest'
import { createKafkaTransport } from './kafka-transport.ts'
import { memberOptions } from './member-options.fixture.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const clock = systemClock()
const RECORDS = 100_000
const PARTITIONS = 8

describeKafka('membership', (brokers) => {
  const open: Transport[] = []
  let names = 0

  const connect = async (): Promise<Transport> => {
    const transport = createKafkaTransport({ brokers, clientId: `membership-${process.pid}` }, { clock, log: silent })
    open.push(transport)
    await transport.connect({ timeoutMs: 10_000 })
    return transport
  }
  const name = (kind: string): string => `membership-${kind}-${process.pid}-${Date.now()}-${++names}`

  afterEach(async () => {
    await Promise.all(open.splice(0).map((transport) => transport.close()))
  })

  test(
    "a group that exceeds a broker's record size fails with its size, rather than retrying silently for ever",
    { timeout: 30_000 },
    async () => {
      const transport = await connect()
      const topic = name('large')
      await transport.admin().createTopics([{ name: topic, partitions: 1, replicationFactor: -1, config: {} }])
      const consumer = transport.consumer(
        memberOptions(topic, () => ({ assignments: new Map(), groupData: Buffer.alloc(1_100_000) })),
      )
      await expect(consumer.start()).rejects.toMatchObject({
        code: 'GROUP_TOO_LARGE',
        detail: expect.stringMatching(`group "${topic}", 1100\\d\\d\\d bytes`),
      })
    },
  )

  test(
    'a foreign client that joins under the same protocol gets no partitions and does no harm',
    { timeout: 30_000 },
    async () => {
      const transport = await connect()
      const topic = name('foreign')
      await transport.admin().createTopics([{ name: topic, partitions: 2, replicationFactor: -1, config: {} }])
      const views: number[] = []
      const changes: AssignmentChange[] = []
      const options = memberOptions(topic, ({ members, partitions }) => {
        views.push(members.length)
        const all = Array.from({ length: partitions.get(topic) ?? 0 }, (_, partition) => ({ topic, partition }))
        return {
          assignments: new Map(members.flatMap(({ id, topics }) => (topics.length > 0 ? [[id, all] as const] : []))),
          groupData: Buffer.alloc(0),
        }
      })
      const consumer = transport.consumer({
        ...options,
        listener: { ...options.listener, onAssign: async (change) => void changes.push(change) },
      })
      const ended = (async () => {
        for await (const _ of consumer.batches());
      })()
      await consumer.start()
      const foreign = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).consumer({
        groupId: topic,
        partitionAssigners: [
          () => ({
            name: 'test',
            version: 0,
            protocol: () => ({
              name: 'test',
              metadata: AssignerProtocol.MemberMetadata.encode({
                version: 0,
                topics: [topic],
                userData: Buffer.from('?'),
              }),
            }),
            assign: async () => [],
          }),
        ],
      })
      await foreign.connect()
      await foreign.subscribe({ topic })
      // The foreign client would not know what to do with partitions, but it gets none.
      void foreign.run({ eachBatch: async () => {} }).catch(() => {})
      await eventually(() => changes.length > 1 && views.at(-1) === 2, {
        what: 'a rebalance with the foreign',
        limitMs: 20_000,
      })
      expect(changes.at(-1)).toMatchObject({ gained: [], lost: [] })
      expect(changes.at(-1)?.kept.length).toBe(2)
      await foreign.disconnect()
      await consumer.close()
      await ended
    },
  )

  test(
    'while members join and leave, none of 100,000 numbered records on 2 topics of 8 partitions is missing or repeated',
    { timeout: 90_000 },
    async () => {
      const transport = await connect()
      const topics = [name('a'), name('b')]
      await transport
        .admin()
        .createTopics(
          topics.map((topic) => ({ name: topic, partitions: PARTITIONS, replicationFactor: -1, config: {} })),
        )
      const seen = new Map<string, number>()
      const handle = (batch: RecordBatch): void => {
        for (const { value } of batch.records) {
          const number = value?.toString() ?? ''
          seen.set(number, (seen.get(number) ?? 0) + 1)
        }
      }
      const groupId = name('group')
      const first = new Member(transport, { groupId, topics, handle })
      await first.consumer.start()
      const producing = produce(transport, topics)
      await eventually(() => seen.size > RECORDS / 10, { what: 'a tenth of the records', limitMs: 30_000 })
      const second = new Member(await connect(), { groupId, topics, handle })
      await second.consumer.start()
      await eventually(() => seen.size > (RECORDS * 3) / 10, { what: 'three tenths of the records', limitMs: 30_000 })
      const third = new Member(await connect(), { groupId, topics, handle })
      await third.consumer.start()
      await eventually(() => seen.size > (RECORDS * 5) / 10, { what: 'half of the records', limitMs: 30_000 })
      await second.leave()
      await eventually(() => seen.size > (RECORDS * 7) / 10, { what: 'seven tenths of the records', limitMs: 30_000 })
      await first.leave()
      await producing
      await eventually(() => seen.size === RECORDS, { what: `all records (there are ${seen.size})`, limitMs: 30_000 })
      await third.leave()
      const committed = await transport.admin().committed(
        groupId,
        topics.flatMap((topic) => partitionsOf(topic, PARTITIONS)),
      )
      expect([...seen.values()].filter((times) => times > 1).length).toBe(0)
      expect(committed.reduce((sum, { offset }) => sum + offset, 0)).toBe(RECORDS)
    },
  )

  test(
    'a drain of 2.2 s with a session of 1.5 s loses neither membership nor commits',
    { timeout: 30_000 },
    async () => {
      const transport = await connect()
      const topic = name('drain')
      await transport.admin().createTopics([{ name: topic, partitions: 2, replicationFactor: -1, config: {} }])
      const groupId = name('group')
      const options = { groupId, topics: [topic], handle: () => {}, sessionTimeoutMs: 1_500 }
      let drains = 0
      const drain = async (): Promise<void> => {
        if (++drains === 1) await clock.sleep(2_200)
      }
      const slow = new Member(transport, { ...options, drain })
      await slow.consumer.start()
      await transport.producer().send([numbered(topic, 0, 0), numbered(topic, 1, 1)], { guard: () => {} })
      await eventually(() => slow.handled === 2, { what: 'both records' })
      const startedMs = clock.monotonic()
      const second = new Member(await connect(), options)
      await second.consumer.start()
      expect(clock.monotonic() - startedMs).toBeGreaterThan(2_100)
      expect(slow.lost).toBe(0)
      const committed = await transport.admin().committed(groupId, partitionsOf(topic, PARTITIONS).slice(0, 2))
      expect(committed.map(({ offset }) => offset)).toEqual([1, 1])
      await eventually(() => slow.owned.size === 1 && second.owned.size === 1, { what: 'one partition each' })
      await second.leave()
      await eventually(() => slow.owned.size === 2, { what: 'both partitions again' })
      expect(second.handled).toBe(0)
      expect(slow.handled).toBe(2)
    },
  )

  test('a static member that closes leaves at once', async () => {
    const transport = await connect()
    const topic = name('static')
    await transport.admin().createTopics([{ name: topic, partitions: 2, replicationFactor: -1, config: {} }])
    const options = { groupId: name('group'), topics: [topic], handle: () => {}, sessionTimeoutMs: 20_000 }
    const first = new Member(transport, { ...options, instanceId: 'one' })
    await first.consumer.start()
    const second = new Member(await connect(), { ...options, instanceId: 'two' })
    await second.consumer.start()
    await eventually(() => first.owned.size === 1 && second.owned.size === 1, { what: 'one partition each' })
    await second.leave()
    await eventually(() => first.owned.size === 2, { what: 'both partitions', limitMs: 5_000 })
  })

  test('a session that the broker does not allow is an error that names it', async () => {
    const transport = await connect()
    const topic = name('session')
    await transport.admin().createTopics([{ name: topic, partitions: 1, replicationFactor: -1, config: {} }])
    const member = new Member(transport, {
      groupId: name('group'),
      topics: [topic],
      handle: () => {},
      sessionTimeoutMs: 10,
    })
    await expect(member.consumer.start()).rejects.toMatchObject({
      code: 'SETTING_INVALID',
      detail: expect.stringContaining('sessionTimeout 10 ms'),
    })
    await eventually(() => member.failure, { what: 'the batches to throw' })
  })
})

interface MemberOptions {
  readonly groupId: string
  readonly topics: readonly string[]
  readonly handle: (batch: RecordBatch) => void
  readonly drain?: () => Promise<void>
  readonly sessionTimeoutMs?: number
  readonly instanceId?: string
}

/**
 * Handles records at once, and commits only in `onRevoke` and when it leaves, so that a lost commit shows as
 * duplicates.
 */
class Member {
  readonly consumer: Consumer
  readonly owned = new Map<string, TopicPartition>()
  readonly #positions = new Map<string, number>()
  readonly #options: MemberOptions
  #draining = false
  #parked: RecordBatch[] = []
  handled = 0
  lost = 0
  failure: Error | undefined

  constructor(transport: Transport, options: MemberOptions) {
    this.#options = options
    this.consumer = transport.consumer({
      groupId: options.groupId,
      topics: options.topics,
      instanceId: options.instanceId,
      assignor: evenly,
      memberData: () => Buffer.from([...this.owned.keys()].join(',')),
      sessionTimeoutMs: options.sessionTimeoutMs ?? 6_000,
      rebalanceTimeoutMs: 20_000,
      heartbeatIntervalMs: 100,
      isolation: 'read-committed',
      maxPartitionBytes: 20_000,
      listener: {
        onRevoke: async () => {
          this.#draining = true
          await options.drain?.()
          await this.#commit()
        },
        onAssign: (change) => this.#assign(change),
        onLost: async () => {
          this.lost++
          this.owned.clear()
        },
      },
    })
    void this.#read()
  }

  async leave(): Promise<void> {
    this.#draining = true
    await this.#commit()
    await this.consumer.close()
  }

  async #read(): Promise<void> {
    try {
      for await (const batch of this.consumer.batches()) {
        if (this.#draining) this.#parked.push(batch)
        else this.#handle(batch)
      }
    } catch (error) {
      this.failure = toError(error)
    }
  }

  #handle(batch: RecordBatch): void {
    if (!this.owned.has(partitionKey(batch))) return
    this.#options.handle(batch)
    this.handled += batch.records.length
    this.#positions.set(partitionKey(batch), batch.nextOffset)
  }

  async #assign({ lost, gained }: AssignmentChange): Promise<void> {
    for (const partition of lost) this.owned.delete(partitionKey(partition))
    const committed = await this.consumer.committed(gained)
    for (const partition of gained) {
      const key = partitionKey(partition)
      const offset = committed.find((each) => partitionKey(each) === key)?.offset ?? 0
      this.owned.set(key, partition)
      this.#positions.delete(key)
      this.consumer.seek(partition, offset)
    }
    this.#draining = false
    for (const batch of this.#parked.splice(0)) this.#handle(batch)
  }

  async #commit(): Promise<void> {
    const offsets = [...this.owned].flatMap(([key, partition]) => {
      const offset = this.#positions.get(key)
      return offset === undefined ? [] : [{ ...partition, offset, metadata: '' }]
    })
    await this.consumer.commit(offsets)
  }
}

/** Sticky: members keep their partitions, up to an even share. */
const evenly: GroupAssignor = {
  name: 'evenly',
  assign: ({ members, partitions }) => {
    const free = new Map<string, TopicPartition>()
    for (const [topic, count] of partitions) {
      for (let partition = 0; partition < count; partition++)
        free.set(partitionKey({ topic, partition }), { topic, partition })
    }
    const share = Math.ceil(free.size / members.length)
    const assignments = new Map<string, TopicPartition[]>()
    for (const { id, data } of members) {
      const list: TopicPartition[] = []
      for (const key of Buffer.from(data).toString().split(',')) {
        const partition = free.get(key)
        if (partition === undefined || list.length >= share) continue
        list.push(partition)
        free.delete(key)
      }
      assignments.set(id, list)
    }
    for (const partition of free.values()) {
      const smallest = [...assignments.values()].sort((a, b) => a.length - b.length)[0]
      smallest?.push(partition)
    }
    return { assignments, groupData: Buffer.alloc(0) }
  },
}

async function produce(transport: Transport, topics: readonly string[]): Promise<void> {
  const producer = transport.producer()
  for (let number = 0; number < RECORDS;) {
    const records = []
    for (const end = number + 500; number < end; number++)
      records.push(numbered(topics[number % topics.length] ?? '', (number >> 1) % PARTITIONS, number))
    const outcomes = await producer.send(records, { guard: () => {} })
    expect(outcomes.every(({ ok }) => ok)).toBe(true)
    await clock.sleep(5)
  }
}

function numbered(
  topic: string,
  partition: number,
  number: number,
): { topic: string; partition: number; key: null; value: Buffer; headers: typeof NO_HEADERS; timestamp: number } {
  return {
    topic,
    partition,
    key: null,
    value: Buffer.from(String(number)),
    headers: NO_HEADERS,
    timestamp: 1_700_000_000_000,
  }
}

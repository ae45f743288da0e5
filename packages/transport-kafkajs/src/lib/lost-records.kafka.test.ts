import { eventually } from '@millrace/conformance'
import { type Logger, NO_HEADERS, systemClock, toError } from '@millrace/core'
import type { Consumer, LostPosition, Transport } from '@millrace/core/driver'
import { describeKafka } from '@millrace/kafka-for-tests'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKafkaTransport } from './kafka-transport.ts'
import { memberOptions } from './member-options.fixture.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

describeKafka('records deleted before they were read', (brokers) => {
  const admin = new Kafka({ brokers: [...brokers], clientId: 'deleter', logLevel: logLevel.NOTHING }).admin()
  let transport: Transport
  let names = 0
  beforeAll(async () => {
    transport = createKafkaTransport({ brokers, clientId: 'lost' }, { clock: systemClock(), log: silent })
    await Promise.all([admin.connect(), transport.connect({ timeoutMs: 10_000 })])
  })
  afterAll(async () => {
    await Promise.all([admin.disconnect(), transport.close()])
  })

  const send = async (topic: string, partition: number, count: number): Promise<void> => {
    const record = { topic, partition, key: null, value: Buffer.from('v'), headers: NO_HEADERS, timestamp: 0 }
    await transport.producer().send(
      Array.from({ length: count }, () => record),
      { guard: () => {} },
    )
  }
  /** A consumer at offset 10 of partition 0, while the topic begins at 15 there, and ends at 20. */
  const overtaken = async (
    onOutOfRange?: (consumer: Consumer, lost: LostPosition) => void,
  ): Promise<{ readonly topic: string; readonly reading: Reading; readonly consumer: Consumer }> => {
    const topic = `lost-${process.pid}-${Date.now()}-${++names}`
    await transport.admin().createTopics([{ name: topic, partitions: 2, replicationFactor: -1, config: {} }])
    await send(topic, 0, 10)
    const consumer: Consumer = transport.consumer({
      ...memberOptions(topic, ({ members }) => ({
        assignments: new Map(members.map(({ id }) => [id, [0, 1].map((partition) => ({ topic, partition }))])),
        groupData: Buffer.alloc(0),
      })),
      ...(onOutOfRange === undefined ? {} : { onOutOfRange: (lost) => onOutOfRange(consumer, lost) }),
    })
    await consumer.start()
    const reading = new Reading(consumer)
    for (const partition of [0, 1]) consumer.seek({ topic, partition }, 0)
    await eventually(() => reading.offsets(0).length === 10, { what: 'ten records' })
    consumer.pause([{ topic, partition: 0 }])
    // After two answers without that partition, no request for the paused partition is under way.
    for (const count of [1, 2]) {
      await send(topic, 1, 1)
      await eventually(() => reading.offsets(1).length === count, { what: 'the other partition' })
    }
    await send(topic, 0, 10)
    // Makes kafkajs look up the topic; otherwise it deletes nothing.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '15' }] })
    consumer.resume([{ topic, partition: 0 }])
    return { topic, reading, consumer }
  }

  test('a notified client can continue with the remaining records', async () => {
    const reported: LostPosition[] = []
    const { topic, reading, consumer } = await overtaken((self, lost) => {
      reported.push(lost)
      self.seek(lost, lost.beginning)
    })
    await eventually(() => reading.offsets(0).at(-1) === 19, { what: 'the last record' })
    expect(reported).toEqual([{ topic, partition: 0, position: 10, beginning: 15, end: 20 }])
    expect(reading.offsets(0).slice(10)).toEqual([15, 16, 17, 18, 19])
    await consumer.close()
  })

  test('otherwise it ends the batches with the reason', async () => {
    const { topic, reading, consumer } = await overtaken()
    const error = await eventually(() => reading.error, { what: 'the batches to end' })
    expect(error).toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      detail: `Partition ${topic}/0 cannot be read at offset 10: it has 15 to 20.`,
    })
    await consumer.close()
  })

  test('a topic that was recreated meanwhile counts as missing, not as shorter', async () => {
    const reported: LostPosition[] = []
    const { topic, reading, consumer } = await overtaken((_self, lost) => reported.push(lost))
    await eventually(() => reported.length === 1, { what: 'the loss' })
    await transport.admin().deleteTopics([topic])
    await eventually(async () => (await transport.admin().topics([topic])).length === 0, { what: 'the topic to go' })
    await transport.admin().createTopics([{ name: topic, partitions: 2, replicationFactor: -1, config: {} }])
    consumer.seek({ topic, partition: 0 }, 15)
    expect(await eventually(() => reading.error, { what: 'the batches to end' })).toMatchObject({
      code: 'TOPIC_MISSING',
    })
    expect(reported.length).toBe(1)
    await consumer.close()
  })
})

class Reading {
  error: Error | undefined
  readonly #offsets: number[][] = [[], []]

  constructor(consumer: Consumer) {
    void this.#read(consumer)
  }

  offsets(partition: number): readonly number[] {
    return this.#offsets[partition] ?? []
  }

  async #read(consumer: Consumer): Promise<void> {
    try {
      for await (const { partition, records } of consumer.batches())
        this.#offsets[partition]?.push(...records.map(({ offset }) => offset))
    } catch (error) {
      this.error = toError(error)
    }
  }
}

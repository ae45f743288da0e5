import { eventually } from '@millrace/conformance'
import {
  type Logger,
  NO_HEADERS,
  type OutgoingRecord,
  type RawRecord,
  type RecordBatch,
  systemClock,
} from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { describeKafka } from '@millrace/kafka-for-tests'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, describe, expect, test } from 'vitest'
import type { CompressionName } from './compression/compression.ts'
import { createKafkaTransport } from './kafka-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const clock = systemClock()
const OPEN = { guard: (): void => {} }

describeKafka('what lies in the log', (brokers) => {
  const open: Transport[] = []
  let names = 0
  const connect = async (
    compression: CompressionName = 'none',
    maxUnpackedBytes: number = 64 << 20,
  ): Promise<Transport> => {
    const options = { brokers, clientId: 'storage', compression, maxUnpackedBytes }
    const transport = createKafkaTransport(options, { clock, log: silent })
    open.push(transport)
    await transport.connect({ timeoutMs: 10_000 })
    return transport
  }
  const newTopic = async (transport: Transport, config: Readonly<Record<string, string>>): Promise<string> => {
    const name = `storage-${process.pid}-${Date.now()}-${++names}`
    await transport.admin().createTopics([{ name, partitions: 1, replicationFactor: -1, config }])
    return name
  }
  const readAll = async (
    transport: Transport,
    topic: string,
  ): Promise<{ readonly records: RawRecord[]; readonly end: number; readonly whole: boolean }> => {
    const reader = transport.reader({ isolation: 'read-committed' })
    const [offsets] = await reader.offsets([{ topic, partition: 0 }])
    reader.assign({ topic, partition: 0 }, offsets?.beginning ?? 0)
    const records: RawRecord[] = []
    let end = 0
    let whole = true
    for await (const batch of reader.batches()) {
      records.push(...batch.records)
      end = batch.nextOffset
      whole &&= batch.whole === true
      if (end >= (offsets?.end ?? 0)) break
    }
    await reader.close()
    return { records, end, whole }
  }

  afterEach(async () => {
    await Promise.all(open.splice(0).map((transport) => transport.close()))
  })

  test('a batch that unpacks beyond the limit ends reading with its offsets, or is delivered as broken', async () => {
    const transport = await connect('gzip', 100_000)
    const topic = await newTopic(transport, {})
    const producer = transport.producer()
    for (const bytes of [10, 200_000, 20]) {
      const value = Buffer.alloc(bytes, bytes)
      const records = [0, 1].map(() => ({
        ...{ topic, partition: 0, key: null, value, headers: NO_HEADERS, timestamp: 0 },
      }))
      await producer.send(records, OPEN)
    }
    const reader = transport.reader({ isolation: 'read-committed' })
    reader.assign({ topic, partition: 0 }, 0)
    const offsets: number[] = []
    const reading = (async (): Promise<void> => {
      for await (const batch of reader.batches()) offsets.push(...batch.records.map(({ offset }) => offset))
    })()
    await expect(reading).rejects.toMatchObject({
      code: 'BATCH_TOO_LARGE',
      detail: expect.stringMatching(new RegExp(`"${topic}" partition 0, offsets 2 to 3: .*100000`)),
    })
    expect(offsets).toEqual([0, 1])

    const lenient = transport.reader({ isolation: 'read-committed', brokenBatches: 'deliver' })
    lenient.assign({ topic, partition: 0 }, 3)
    const batches: RecordBatch[] = []
    for await (const batch of lenient.batches()) {
      batches.push(batch)
      if (batch.nextOffset === 6) break
    }
    expect(batches).toMatchObject([
      { position: 3, records: [], nextOffset: 4, broken: { error: { code: 'BATCH_TOO_LARGE' } } },
      { records: [{ offset: 4 }, { offset: 5 }], nextOffset: 6 },
    ])
    expect(batches[0]?.broken?.data.length).toBeGreaterThan(61)
    await Promise.all([reader.close(), lenient.close()])
  })

  test('reading does not continue in a topic that was deleted and recreated', async () => {
    const transport = await connect()
    const admin = transport.admin()
    const topic = await newTopic(transport, {})
    const producer = transport.producer()
    const records = ['a', 'b', 'c'].map((value) => ({
      topic,
      partition: 0,
      key: null,
      value: Buffer.from(value),
      headers: NO_HEADERS,
      timestamp: 0,
    }))
    await producer.send(records, OPEN)
    const reader = transport.reader({ isolation: 'read-committed' })
    reader.assign({ topic, partition: 0 }, 0)
    const read: number[] = []
    const reading = (async (): Promise<void> => {
      for await (const batch of reader.batches()) for (const { offset } of batch.records) read.push(offset)
    })()
    reading.catch(() => undefined)
    await eventually(() => read.length === 3, { what: 'the first records' })
    await admin.deleteTopics([topic])
    await eventually(async () => (await admin.topics([topic])).length === 0, { what: 'the topic to go' })
    await admin.createTopics([{ name: topic, partitions: 1, replicationFactor: -1, config: {} }])
    await transport.producer().send([...records, ...records], OPEN)
    await expect(reading).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      detail: expect.stringContaining(`"${topic}" was deleted and created again`),
    })
    expect(read).toEqual([0, 1, 2])
  })

  test('a transaction to a deleted topic is refused, and does not wait for it for ever', async () => {
    const transport = await connect()
    const topic = await newTopic(transport, {})
    const producer = transport.transactionalProducer({ id: topic, timeoutMs: 10_000 })
    await producer.init()
    await producer.begin()
    const record = { topic, partition: 0, key: null, value: Buffer.from('v'), headers: NO_HEADERS, timestamp: 0 }
    expect(await producer.send([record], OPEN)).toEqual([{ ok: true, offset: 0 }])
    await producer.commit()
    await transport.admin().deleteTopics([topic])
    await producer.begin()
    const outcomes = await eventually(
      async () => {
        const sent = await producer.send([record], OPEN)
        return sent.some(({ ok }) => !ok) && sent
      },
      { what: 'the send to be refused', limitMs: 20_000 },
    )
    expect(outcomes).toMatchObject([{ ok: false, error: { code: 'TOPIC_MISSING' } }])
    await producer.abort()
    await producer.close()
  })

  describe.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('%s', (compression) => {
    const values = Array.from({ length: 2_000 }, (_, i) => `value ${i} ${'abc'.repeat(i % 40)}`)

    test("is written in the broker's format, and read", async () => {
      const transport = await connect(compression)
      // A topic with another compression makes the broker unpack and pack again, so it would refuse what it cannot
      // read.
      const topic = await newTopic(transport, { 'compression.type': compression === 'gzip' ? 'lz4' : 'gzip' })
      const outcomes = await transport.producer().send(
        values.map((value) => record(topic, null, value)),
        OPEN,
      )
      expect(outcomes.every(({ ok }) => ok)).toBe(true)
      expect((await readAll(transport, topic)).records.map(({ value }) => value?.toString())).toEqual(values)
    })

    test("is read in the broker's format", async () => {
      const transport = await connect()
      const topic = await newTopic(transport, { 'compression.type': compression })
      await transport.producer().send(
        values.map((value) => record(topic, null, value)),
        OPEN,
      )
      expect((await readAll(transport, topic)).records.map(({ value }) => value?.toString())).toEqual(values)
    })
  })

  test('reading skips compacted offsets, up to the end', { timeout: 60_000 }, async () => {
    const transport = await connect()
    const topic = await newTopic(transport, {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.01',
      'segment.ms': '1',
      'min.compaction.lag.ms': '0',
    })
    const producer = transport.producer()
    await producer.send([record(topic, 'key-0', 'first', 1_700_000_000_000)], OPEN)
    expect((await readAll(transport, topic)).whole).toBe(true)
    // Segments are closed by the timestamps of later records.
    for (let round = 0; round < 30; round++) {
      await producer.send(
        Array.from({ length: 20 }, (_, i) =>
          record(topic, `key-${i % 4}`, `${round}-${i}`, 1_700_000_000_000 + round * 10_000),
        ),
        OPEN,
      )
    }
    const compacted = await eventually(
      async () => {
        const found = await readAll(transport, topic)
        return found.records.length < 100 ? found : undefined
      },
      { what: 'the broker to compact', limitMs: 45_000 },
    )
    expect(compacted).toMatchObject({ end: 601, whole: false })
    const latest = new Map(compacted.records.map(({ key, value }) => [key?.toString(), value?.toString()]))
    expect(latest).toEqual(
      new Map([
        ['key-0', '29-16'],
        ['key-1', '29-17'],
        ['key-2', '29-18'],
        ['key-3', '29-19'],
      ]),
    )
  })

  test('records that kafkajs has sent are read, including headers', async () => {
    const transport = await connect()
    const topic = await newTopic(transport, {})
    const producer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).producer({ idempotent: true })
    await producer.connect()
    await producer.send({
      topic,
      messages: [{ key: 'k', value: 'v', headers: { a: ['1', '2'], b: 'x' } }, { value: null }],
    })
    await producer.disconnect()
    const { records, whole } = await readAll(transport, topic)
    expect(whole).toBe(true)
    expect(records.map(({ key, value }) => [key?.toString(), value?.toString()])).toEqual([
      ['k', 'v'],
      [undefined, undefined],
    ])
    expect(records[0]?.headers.map(([name, value]) => [name, value?.toString()])).toEqual([
      ['a', '1'],
      ['a', '2'],
      ['b', 'x'],
    ])
    expect(records[1]?.headers).toBe(NO_HEADERS)
  })

  test('a batch with one record that is too large stores the others, in order', async () => {
    const transport = await connect()
    const topic = await newTopic(transport, { 'max.message.bytes': '20000' })
    const values = Array.from({ length: 300 }, (_, i) => (i === 137 ? 'x'.repeat(30_000) : `${i} ${'y'.repeat(500)}`))
    const outcomes = await transport.producer().send(
      values.map((value) => record(topic, null, value)),
      OPEN,
    )
    expect(outcomes.flatMap((outcome, i) => (outcome.ok ? [] : [i]))).toEqual([137])
    expect((await readAll(transport, topic)).records.map(({ value }) => value?.toString().split(' ')[0])).toEqual(
      values.flatMap((value, i) => (i === 137 ? [] : [value.split(' ')[0]])),
    )
  })
})

function record(topic: string, key: string | null, value: string, timestamp = 1_700_000_000_000): OutgoingRecord {
  return {
    topic,
    partition: 0,
    key: key === null ? null : Buffer.from(key),
    value: Buffer.from(value),
    headers: NO_HEADERS,
    timestamp,
  }
}

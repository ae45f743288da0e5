import { NO_HEADERS, type OutgoingRecord, systemClock } from '@millrace/core'
import type { TransactionalProducer, Transport } from '@millrace/core/driver'
import { describeKafka } from '@millrace/kafka-for-tests'
import { createKafkaTransport } from '@millrace/transport-kafkajs'
import { afterEach, expect, test } from 'vitest'
import { createApp } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const OPEN = { guard: (): void => {} }
const LIMIT = { timeout: 90_000 }
const poll = { timeout: 30_000, interval: 50 }

describeKafka('other clients’ transactions, at least once', (brokers) => {
  const opened: Transport[] = []
  let names = 0
  const broker = `kafka://${brokers.join(',')}`
  const newId = (): string => `isolation-${process.pid}-${Date.now().toString(36)}-${++names}`
  const outside = async (): Promise<Transport> => {
    const transport = createKafkaTransport({ brokers, clientId: 'outside' }, { clock: systemClock(), log: quiet })
    opened.push(transport)
    await transport.connect({ timeoutMs: 10_000 })
    return transport
  }
  const transaction = async (transport: Transport, id: string): Promise<TransactionalProducer> => {
    const producer = transport.transactionalProducer({ id, timeoutMs: 60_000 })
    await producer.init()
    await producer.begin()
    return producer
  }

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((transport) => transport.close()))
  })

  test.each([
    ['read-committed', ['first', 'last']],
    ['read-uncommitted', ['first', 'aborted', 'last']],
  ] as const)('isolation %s reads %j', LIMIT, async (isolation, expected) => {
    const id = newId()
    const app = createApp({ id, broker, isolation, topicPartitions: 1, web: false }, { log: quiet })
    const topic = app.topic(`${id}-in`, { value: 'string' })
    const seen: string[] = []
    app.agent('see', topic, async (stream) => {
      for await (const value of stream) seen.push(value)
    })
    await app.start()
    const transport = await outside()
    const plain = transport.producer()
    await plain.send([text(topic.name, null, 'first')], OPEN)
    const aborted = await transaction(transport, id)
    await aborted.send([text(topic.name, null, 'aborted')], OPEN)
    await aborted.abort()
    await plain.send([text(topic.name, null, 'last')], OPEN)
    await expect.poll(() => seen.at(-1), poll).toBe('last')
    expect(seen).toEqual(expected)
    await app.stop()
  })

  test('recovery skips rows of an aborted transaction, and waits for an open one', LIMIT, async () => {
    const id = newId()
    const app = createApp({ id, broker, topicPartitions: 1, web: false }, { log: quiet })
    const topic = app.topic(`${id}-in`, { key: 'string', value: 'string' })
    const table = app.table('last', { key: 'string', value: 'string' })
    app.agent('keep', topic, async (stream) => {
      for await (const event of stream.events()) table.set(event.key, event.value)
    })
    await app.start()
    await (await topic.send({ key: 'a', value: 'kept' })).metadata()
    await expect.poll(() => table.get('a', { committed: true }), poll).toBe('kept')
    await app.stop()

    const transport = await outside()
    const changelog = `${id}-last-changelog`
    const open = await transaction(transport, id)
    await open.send([text(changelog, 'a', 'never')], OPEN)
    await transport.producer().send([text(changelog, 'b', 'behind')], OPEN)
    const started = app.start()
    await expect.poll(async () => (await transport.admin().members(id)).length, poll).toBe(1)
    await open.abort()
    await started
    expect(table.get('a')).toBe('kept')
    expect(table.get('b')).toBe('behind')
    await app.stop()
  })
})

function text(topic: string, key: string | null, value: string): OutgoingRecord {
  const keyBytes = key === null ? null : Buffer.from(key)
  return { topic, partition: 0, key: keyBytes, value: Buffer.from(value), headers: NO_HEADERS, timestamp: Date.now() }
}

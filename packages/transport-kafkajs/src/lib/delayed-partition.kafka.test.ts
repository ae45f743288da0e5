import { eventually } from '@millrace/conformance'
import {
  type DelayedPartition,
  MillraceError,
  NO_HEADERS,
  systemClock,
  type Logger,
  type OutgoingRecord,
  type Producer,
  type TopicPartition,
  type Transport,
} from '@millrace/core'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createKafkaTransport } from './kafka-transport.ts'

const BROKERS = 3
const LAST = 3
const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const clock = systemClock()

describeOwnKafka('a partition below its min.insync.replicas', { brokers: BROKERS }, (kafka) => {
  let transport: Transport
  let names = 0
  let isDown = false
  const kill = async (): Promise<void> => {
    isDown = true
    await kafka.kill(LAST)
  }
  const resume = async (): Promise<void> => {
    await kafka.resume(LAST)
    isDown = false
  }
  beforeEach(async () => {
    transport = createKafkaTransport({ brokers: kafka.brokers.split(','), clientId: 'delayed' }, { clock, log: silent })
    await transport.connect({ timeoutMs: 30_000 })
  })
  afterEach(async () => {
    await transport.close()
    if (isDown) await resume()
  })

  /** Two partitions with the same leader, which stays: one needs all three brokers, the other its leader alone. */
  const partitions = async (
    producer: Producer,
  ): Promise<{ readonly good: TopicPartition; readonly bad: TopicPartition }> => {
    const [alone, all] = [`alone-${++names}`, `all-${names}`]
    await transport.admin().createTopics([
      { name: alone, partitions: BROKERS, replicationFactor: 1, config: {} },
      {
        name: all,
        partitions: BROKERS,
        replicationFactor: BROKERS,
        config: { 'min.insync.replicas': String(BROKERS) },
      },
    ])
    for (const topic of [alone, all]) await producer.partitions(topic)
    const ledBy = (topic: string, leader: number): TopicPartition | undefined =>
      Array.from({ length: BROKERS }, (_, partition) => ({ topic, partition })).find(
        (partition) => producer.lane(partition) === leader,
      )
    const [good, bad] = [ledBy(alone, 1), ledBy(all, 1)]
    if (good === undefined || bad === undefined) throw new Error('Broker 1 leads no partition of one of the topics.')
    return { good, bad }
  }
  const record = (partition: TopicPartition, value: string): OutgoingRecord => ({
    ...partition,
    key: null,
    value: Buffer.from(value),
    headers: NO_HEADERS,
    timestamp: 0,
  })
  const valuesOf = async (partition: TopicPartition): Promise<readonly string[]> => {
    const reader = transport.reader({ isolation: 'read-committed' })
    const [offsets] = await reader.offsets([partition])
    reader.assign(partition, 0)
    const values: string[] = []
    for await (const batch of reader.batches()) {
      values.push(...batch.records.map(({ value }) => String(value)))
      if (batch.nextOffset >= (offsets?.end ?? 0)) break
    }
    return values
  }

  test.each([false, true])(
    'leaves its send, and is stored when it has them again (transaction: %s)',
    { timeout: 120_000 },
    async (inTransaction) => {
      const transactional = transport.transactionalProducer({ id: `delayed-${++names}`, timeoutMs: 300_000 })
      const producer = inTransaction ? transactional : transport.producer()
      if (inTransaction) await transactional.init()
      const { good, bad } = await partitions(producer)
      if (inTransaction) await transactional.begin()
      await kill()
      const delayed: DelayedPartition[] = []
      const options = { guard: () => {}, onDelayed: (partition: DelayedPartition) => void delayed.push(partition) }
      const outcomes = await producer.send([record(bad, '1'), record(good, 'a'), record(bad, '2')], options)
      expect([outcomes[0], outcomes[1], outcomes[2]]).toEqual([undefined, { ok: true, offset: 0 }, undefined])
      expect(delayed).toMatchObject([bad])
      expect(await producer.send([record(good, 'b')], options)).toEqual([{ ok: true, offset: 1 }])
      await eventually(async () => delayed[0]?.reason.includes('NOT_ENOUGH_REPLICAS'), {
        what: 'the reason',
        limitMs: 40_000,
      })
      await resume()
      expect(await delayed[0]?.outcomes).toMatchObject([{ ok: true }, { ok: true }])
      expect(await producer.send([record(bad, '3')], options)).toMatchObject([{ ok: true }])
      if (inTransaction) await transactional.commit()
      const values = await valuesOf(bad)
      // Outside of a transaction a try that was stored and not acknowledged may be there too.
      expect(inTransaction ? values : [...new Set(values)]).toEqual(['1', '2', '3'])
      await producer.close()
    },
  )

  test('ends with what its guard throws, and when the producer is closed', { timeout: 120_000 }, async () => {
    const producer = transport.producer()
    const { bad } = await partitions(producer)
    await kill()
    const delayed: DelayedPartition[] = []
    const onDelayed = (partition: DelayedPartition): void => void delayed.push(partition)
    let refusal: Error | undefined
    const guard = (): void => {
      if (refusal !== undefined) throw refusal
    }
    await producer.send([record(bad, '1')], { guard, onDelayed })
    refusal = new MillraceError('LEASE_EXPIRED', 'Gone.')
    await expect(delayed[0]?.outcomes).rejects.toBe(refusal)
    refusal = undefined
    await producer.send([record(bad, '2')], { guard, onDelayed })
    const ended = expect(delayed[1]?.outcomes).rejects.toMatchObject({ code: 'CLOSED' })
    await producer.close()
    await ended
  })
})

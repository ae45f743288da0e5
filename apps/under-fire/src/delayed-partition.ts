import { eventually } from '@millrace/conformance'
import { MillraceError, NO_HEADERS, type OutgoingRecord, partitionsOf, type TopicPartition } from '@millrace/core'
import type { DelayedPartition, Producer, Transport } from '@millrace/core/driver'
import { recordsOf } from '@millrace/verifier'
import { expect, test } from 'vitest'
import type { SharedOutage } from './shared-outage.ts'

const LIMIT = { timeout: 180_000 }

export interface DelayedPartitionOptions {
  readonly outside: () => Transport
  /** One broker is away in it. */
  readonly outage: SharedOutage
  /** How many there are. */
  readonly brokers: number
  /** One that stays. */
  readonly leader: number
}

/** What the driver's producers do with a partition that has fewer replicas than its topic wants. */
export function delayedPartitionTests({ outside, outage, brokers, leader }: DelayedPartitionOptions): void {
  test.each([false, true])(
    'a partition below its min.insync.replicas leaves its send, and is stored when it has them again (transaction: %s)',
    LIMIT,
    (inTransaction) =>
      outage.through(async ({ begins, ends }) => {
        const name = `delayed-${String(inTransaction)}`
        const transactional = outside().transactionalProducer({ id: name, timeoutMs: 300_000 })
        const producer = inTransaction ? transactional : outside().producer()
        if (inTransaction) await transactional.init()
        const { good, bad } = await partitions(producer, name)
        if (inTransaction) await transactional.begin()
        await begins()
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
        await ends()
        expect(await delayed[0]?.outcomes).toMatchObject([{ ok: true }, { ok: true }])
        expect(await producer.send([record(bad, '3')], options)).toMatchObject([{ ok: true }])
        if (inTransaction) await transactional.commit()
        const values = await eventually(
          async () => {
            const found = await recordsOf(outside(), { name: bad.topic, partitions: brokers })
            return found.length >= 3 && found.map(({ value }) => String(value))
          },
          { what: 'the records to be readable' },
        )
        // A try that was stored and not acknowledged is not stored again.
        expect(values).toEqual(['1', '2', '3'])
        await producer.close()
      })(),
  )

  test(
    'a partition below its min.insync.replicas ends with what its guard throws, and when the producer is closed',
    LIMIT,
    outage.through(async ({ begins }) => {
      const producer = outside().producer()
      const { bad } = await partitions(producer, 'refused')
      await begins()
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
    }),
  )

  /** Two partitions of a leader that stays: one needs all brokers, the other its leader alone. */
  async function partitions(
    producer: Producer,
    name: string,
  ): Promise<{ readonly good: TopicPartition; readonly bad: TopicPartition }> {
    const [alone, all] = [`${name}-alone`, `${name}-all`]
    await outside()
      .admin()
      .createTopics([
        { name: alone, partitions: brokers, replicationFactor: 1, config: {} },
        {
          name: all,
          partitions: brokers,
          replicationFactor: brokers,
          config: { 'min.insync.replicas': String(brokers) },
        },
      ])
    const ledBy = async (topic: string): Promise<TopicPartition> => {
      await producer.partitions(topic)
      const found = partitionsOf(topic, brokers).find((partition) => producer.brokerOf(partition) === leader)
      if (found === undefined) throw new Error(`Broker ${leader} leads no partition of ${topic}.`)
      return found
    }
    return { good: await ledBy(alone), bad: await ledBy(all) }
  }
}

function record(partition: TopicPartition, value: string): OutgoingRecord {
  return { ...partition, key: null, value: Buffer.from(value), headers: NO_HEADERS, timestamp: 0 }
}

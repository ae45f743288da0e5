import { describeKafka } from '@millrace/kafka-for-tests'
import { expect, test } from 'vitest'
import { createApp, runtimeOf } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Older than any retention. */
const LONG_AGO_MS = Date.UTC(2001, 0, 1)

describeKafka('repartition topics, on Kafka', (brokers) => {
  test.each(['at-least-once', 'exactly-once'] as const)(
    'keep old records until they are read, and purge them afterwards: %s',
    { timeout: 90_000 },
    async (processingGuarantee) => {
      const id = `purge-${processingGuarantee}-${process.pid}-${Date.now().toString(36)}`
      const app = createApp(
        {
          id,
          broker: `kafka://${brokers.join(',')}`,
          processingGuarantee,
          commitInterval: '100ms',
          repartitionPurgeInterval: '300ms',
          topicPartitions: 2,
          web: false,
        },
        { log: quiet },
      )
      const orders = app.topic(`${id}-orders`, { value: 'number', retention: '100000d' })
      const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0 })
      const sizeOf = (value: number): string => `size ${value % 5}`
      app.agent('sum', orders, async (stream) => {
        for await (const value of stream.groupBy(sizeOf, { name: 'by-size' }))
          sums.update(sizeOf(value), (sum) => sum + value)
      })
      const topic = `${id}-sum-by-size-repartition`
      const partitions = [0, 1].map((partition) => ({ topic, partition }))
      const sum = (): number =>
        [0, 1, 2, 3, 4].reduce((all, value) => all + (sums.get(sizeOf(value), { committed: true }) ?? 0), 0)
      /** How many records went through, and how many remain. */
      const regrouped = async (): Promise<{ readonly sent: boolean; readonly left: number }> => {
        const bounds = await (await runtimeOf(app).client.connect()).admin.offsets(partitions, 'read-committed')
        return {
          sent: bounds.some(({ end }) => end > 0),
          left: bounds.reduce((all, { beginning, end }) => all + (end - beginning), 0),
        }
      }
      const limit = { timeout: 30_000, interval: 50 }

      for (const [from, expected] of [
        [0, 190],
        [20, 780],
      ] as const) {
        await app.start()
        for (let value = from; value < from + 20; value++)
          await (await orders.send({ value, timestamp: LONG_AGO_MS + value })).metadata()
        await expect.poll(sum, limit).toBe(expected)
        await expect.poll(regrouped, limit).toEqual({ sent: true, left: 0 })
        const [settings] = await (await runtimeOf(app).client.connect()).admin.topicSettings([topic])
        expect(settings).toMatchObject({ expires: true, retentionMs: undefined, retentionBytes: undefined })
        await app.stop()
      }
    },
  )
})

import { NO_HEADERS, systemClock } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { commandLine } from '@millrace/core/operations'
import { describeKafka } from '@millrace/kafka-for-tests'
import { createKafkaTransport } from '@millrace/transport-kafkajs'
import { afterEach, expect, test } from 'vitest'
import { createApp, type App } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const LIMIT = { timeout: 90_000 }
const poll = { timeout: 30_000, interval: 50 }

describeKafka('an unreadable batch', (brokers) => {
  const opened: Transport[] = []
  const broker = `kafka://${brokers.join(',')}`

  /** Sends each list as one compressed batch. */
  const send = async (topic: string, ...batches: readonly (readonly string[])[]): Promise<void> => {
    const options = { brokers, clientId: 'outside', compression: 'gzip' } as const
    const transport = createKafkaTransport(options, { clock: systemClock(), log: quiet })
    opened.push(transport)
    await transport.connect({ timeoutMs: 10_000 })
    for (const values of batches)
      await transport.producer().send(
        values.map((value) => ({
          ...{ topic, partition: 0, key: null, value: Buffer.from(value), headers: NO_HEADERS, timestamp: 1_000 },
        })),
        { guard: () => {} },
      )
  }

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((transport) => transport.close()))
  })

  test.each(['at-least-once', 'exactly-once'] as const)(
    'is skipped with millrace skip, and records before and after it are handled once, %s',
    LIMIT,
    async (processingGuarantee) => {
      const id = `skip-${processingGuarantee}-${process.pid}-${Date.now().toString(36)}`
      const seen: string[] = []
      const newApp = (): App => {
        const app = createApp(
          { id, broker, processingGuarantee, maxBatchBytes: '100kb', topicPartitions: 1, web: false },
          { log: quiet },
        )
        const topic = app.topic(`${id}-in`, { value: 'string', retention: '100000d' })
        app.agent('see', topic, async (stream) => {
          for await (const value of stream) seen.push(value)
        })
        return app
      }
      const topic = `${id}-in`
      const first = newApp()
      await first.start()
      const huge = 'x'.repeat(200_000)
      await send(topic, ['a', 'b'], [huge, huge, huge], ['c'])
      await expect(first.finished()).rejects.toMatchObject({
        code: 'BATCH_TOO_LARGE',
        message: expect.stringMatching(new RegExp(`offsets 2 to 4: .*millrace skip ${topic}/0@4`)),
      })

      const client = await newApp()[commandLine].client()
      const at = (offset: number, partition = 0): { topic: string; partition: number; offset: number } => ({
        ...{ topic, partition, offset },
      })
      await expect.poll(() => client.members(), poll).toEqual([])
      const refusal = { code: 'SKIP_REFUSED' }
      await expect(client.skipPlan(at(600))).rejects.toMatchObject(refusal)
      await expect(client.skipPlan(at(0, 7))).rejects.toMatchObject({ code: 'PARTITION_MISSING' })
      await expect(client.skipPlan({ ...at(0), topic: `${id}-other` })).rejects.toMatchObject({ code: 'COMMAND_USAGE' })
      const plan = await client.skipPlan(at(3))
      expect(plan).toMatchObject({ from: 2, to: 5, reason: expect.stringContaining('BATCH_TOO_LARGE') })
      await client.skip(plan)
      await expect(client.skipPlan(at(3))).rejects.toMatchObject(refusal)
      await client.close()

      const second = newApp()
      await second.start()
      await expect.poll(() => seen.at(-1), poll).toBe('c')
      expect(seen).toEqual(['a', 'b', 'c'])
      const running = await second[commandLine].client()
      await expect(running.skip(plan)).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
      await running.close()
      await second.stop()
    },
  )
})

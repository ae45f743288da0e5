import { randomBytes } from 'node:crypto'
import { eventually } from '@millrace/conformance'
import { NO_HEADERS, systemClock } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import { expect, test } from 'vitest'
import { fireRun } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import { length } from './test-length.ts'
import { EXACT, tellFigures } from './verdict.ts'

const clock = systemClock()
const PARTITIONS = 4
const RECORD_BYTES = 10_000
const MAX_BUFFERED_BYTES = 4 << 20
/** Of the filled topic: the driver's largest are 900,000. Buffers count a record's objects too, here a thirtieth. */
const BATCH_BYTES = 1_000_000
/** What a worker may grow by over its bound: V8's own ways, a fetch per partition, sends. The topic is several times that. */
const SLACK_BYTES = 96 << 20

describeKafka('overload', (brokers) => {
  const outside = outsideOf(brokers)

  test(
    'a slow agent under a full topic stays within its memory and does not hold up another',
    { timeout: 180_000 },
    async () => {
      const records = length({ short: 30_000, long: 150_000 })
      const slow = `slow-${randomBytes(4).toString('hex')}`
      await using run = await fireRun({
        outside: outside(),
        brokers: brokers.join(','),
        partitions: PARTITIONS,
        settings: { maxBufferedBytes: MAX_BUFFERED_BYTES },
        plan: { slow: { topic: slow, eventMs: 100 } },
      })
      const [worker] = await run.startReady(1)
      if (worker === undefined) throw new Error('There is no worker.')
      await run.send(100)
      await run.untilDone()
      const calm = await worker.report()
      await fill(slow, records)
      const paused = await eventually(
        async () => {
          const { stats } = await worker.report()
          const there = stats?.sources.filter(({ topic, paused }) => topic === slow && paused === 'buffer') ?? []
          return there.length === PARTITIONS ? there : undefined
        },
        { what: 'all partitions of the slow topic to be paused', limitMs: 30_000 },
      )
      expect(paused.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0)).toBeGreaterThan(MAX_BUFFERED_BYTES / 2)

      // The other agent handles its whole topic meanwhile, at its own speed.
      const startedMs = clock.monotonic()
      await run.send(20_000)
      await run.untilDone()
      const fastMs = clock.monotonic() - startedMs
      let peakBytes = 0
      const endMs = clock.monotonic() + length({ short: 5_000, long: 30_000 })
      await eventually(
        async () => {
          const { rssBytes, stats } = await worker.report()
          peakBytes = Math.max(peakBytes, rssBytes)
          const buffered = stats?.sources.reduce((sum, one) => sum + one.bufferedBytes, 0) ?? 0
          // What is under way when a partition pauses comes on top: an answer holds a whole batch, however large.
          expect(buffered).toBeLessThan(MAX_BUFFERED_BYTES + PARTITIONS * BATCH_BYTES * 1.05)
          return clock.monotonic() > endMs
        },
        { what: 'the time to pass', limitMs: 60_000 },
      )
      const after = await worker.report()
      expect(after.peakRssBytes - calm.rssBytes).toBeLessThan(MAX_BUFFERED_BYTES + SLACK_BYTES)
      expect(after.handledSlow).toBeLessThan(records / 2)
      expect(
        after.stats?.sources.filter(({ topic }) => topic === run.numbers).every(({ paused }) => paused === undefined),
      ).toBe(true)
      expect(await worker.stop()).toBe(0)
      const verdict = await run.verdict()
      expect(verdict).toMatchObject(EXACT)
      tellFigures(
        `${(records * RECORD_BYTES) >> 20} MiB before a slow agent: ${mib(calm.rssBytes)} MiB calm, ${mib(after.peakRssBytes)} MiB at most, other agent 20,000 in ${Math.round(fastMs)} ms`,
        verdict,
      )
    },
  )

  async function fill(topic: string, records: number): Promise<void> {
    const producer = outside().producer()
    const value = Buffer.from('x'.repeat(RECORD_BYTES))
    for (let first = 0; first < records; first += 2000) {
      const batch = Array.from({ length: Math.min(2000, records - first) }, (_, i) => ({
        topic,
        partition: i % PARTITIONS,
        key: null,
        value,
        headers: NO_HEADERS,
        timestamp: clock.now(),
      }))
      await producer.send(batch, { guard: () => {} })
    }
    await producer.close()
  }
})

function mib(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}

import { eventually } from '@millrace/conformance'
import { NO_HEADERS } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ClusterEyes } from './cluster-eyes.ts'
import { type FireRun, fireRun, type FireRunOptions } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import type { WorkerProcess } from '@millrace/verifier'

/** A worker looks at its topics every 30 s. */
const NOTICE_LIMIT_MS = 60_000
const LIMIT = { timeout: 120_000 }

// All at the same time: most of it is waiting for the worker to look.
describeKafka('topics changed under a running worker', (brokers) => {
  const outside = outsideOf(brokers)
  const eyes = new ClusterEyes(brokers)
  beforeAll(() => eyes.open())
  afterAll(() => eyes.close())

  async function working(
    settings: FireRunOptions['settings'] = {},
  ): Promise<{ readonly run: FireRun; readonly worker: WorkerProcess }> {
    const run = await fireRun({ outside: outside(), brokers: brokers.join(','), settings })
    const [worker] = await run.startReady(1)
    if (worker === undefined) throw new Error('There is no worker.')
    await run.send(1000)
    await run.untilDone()
    return { run, worker }
  }
  const deleteTopic = (name: string): Promise<void> => outside().admin().deleteTopics([name])
  const isRefused = async (topic: string): Promise<boolean> => {
    const producer = outside().producer()
    const records = [0, 1, 2, 3].map((partition) => ({
      topic,
      partition,
      key: null,
      value: null,
      headers: NO_HEADERS,
      timestamp: 0,
    }))
    const outcomes = await producer.send(records, { guard: () => {} })
    await producer.close()
    return outcomes.every(({ ok }) => !ok)
  }
  const reasonOf = async (worker: WorkerProcess): Promise<{ readonly code: string; readonly message: string }> => {
    await worker.ended(NOTICE_LIMIT_MS)
    if (worker.failure === undefined) throw new Error(`The worker told no reason:\n${worker.output}`)
    return worker.failure
  }

  /** A worker that was overtaken by retention in partition 0: it holds what it has fetched, and the rest is gone but for 5 records. */
  async function overtaken(
    settings: FireRunOptions['settings'],
  ): Promise<{ readonly run: FireRun; readonly worker: WorkerProcess; readonly begin: number }> {
    const { run, worker } = await working({ maxBufferedBytes: 1000, ...settings })
    worker.tell({ do: 'hold' })
    await run.send(2000)
    await eventually(async () => (await worker.report()).stats?.sources.every(({ paused }) => paused === 'buffer'), {
      what: 'the buffer to be full',
    })
    // A request that was under way when the buffer was full takes the first of these; nobody asks for the others.
    await run.send(2000)
    await run.send(2000)
    const [end] = await outside()
      .admin()
      .offsets([{ topic: run.numbers, partition: 0 }], 'read-committed')
    const begin = (end?.end ?? 0) - 5
    await eyes.deleteRecords(run.numbers, 0, begin)
    worker.tell({ do: 'release' })
    return { run, worker, begin }
  }

  describe.concurrent('records deleted before they were read', () => {
    test.each(['at-least-once', 'exactly-once'] as const)(
      "onOffsetLost: 'earliest' goes on with what is left, and tells what is lost, %s",
      LIMIT,
      async (processingGuarantee) => {
        const { run, worker, begin } = await overtaken({ onOffsetLost: 'earliest', processingGuarantee })
        await using _run = run
        await eventually(
          async () => {
            const at = [{ topic: run.numbers, partition: 0 }]
            const [committed] = await outside().admin().committed(run.id, at)
            return (committed?.offset ?? 0) >= begin + 5
          },
          { what: 'the end to be committed', limitMs: 30_000 },
        )
        const told = worker.log.filter(({ message }) => message.includes('deleted before being read'))
        expect(told.map(({ message }) => message)).toEqual([
          expect.stringMatching(
            new RegExp(`"${run.numbers}" partition 0 begins at offset ${begin}: \\d+ records were deleted`),
          ),
        ])
        expect(await worker.stop()).toBe(0)
      },
    )

    test("onOffsetLost: 'stop' stops with the reason", LIMIT, async () => {
      const { run, worker, begin } = await overtaken({})
      await using _run = run
      const { code, message } = await reasonOf(worker)
      expect(code).toBe('OFFSET_OUT_OF_RANGE')
      expect(message).toContain(`"${run.numbers}" partition 0 begins at offset ${begin}`)
    })
  })

  describe.concurrent('it stops with the reason', () => {
    test('source deleted', LIMIT, async () => {
      const { run, worker } = await working()
      await using _run = run
      await deleteTopic(run.numbers)
      const { code, message } = await reasonOf(worker)
      expect(code).toBe('TOPIC_MISSING')
      expect(message).toContain(run.numbers)
    })

    test('source deleted and made again', LIMIT, async () => {
      const { run, worker } = await working()
      await using _run = run
      await deleteTopic(run.numbers)
      const admin = outside().admin()
      await eventually(async () => (await admin.topics([run.numbers])).length === 0, { what: 'the topic to go' })
      await run.createTopics()
      await run.send(4000)
      const { code, message } = await reasonOf(worker)
      expect(code).toBe('TOPIC_MISSING')
      expect(message).toContain(run.numbers)
      expect(message).toContain('was deleted and created again')
      // Nothing of the new topic was taken for the old one's next records.
      expect((await run.verdict()).byWorker).toEqual({ w1: 1000 })
    })

    test('changelog deleted', LIMIT, async () => {
      const { run, worker } = await working()
      await using _run = run
      await deleteTopic(run.changelog)
      await run.send(1000)
      const { code, message } = await reasonOf(worker)
      expect(code).toBe('CHANGELOG_MISSING')
      expect(message).toContain(run.changelog)
    })

    test.each(['at-least-once', 'exactly-once'] as const)('output deleted, %s', LIMIT, async (processingGuarantee) => {
      const { run, worker } = await working({ processingGuarantee })
      await using _run = run
      await deleteTopic(run.copies)
      // For a moment after its deletion a topic still takes records.
      await eventually(() => isRefused(run.copies), { what: 'the topic to refuse records', limitMs: 20_000 })
      const before = await run.committed()
      await run.send(1000)
      const { message } = await reasonOf(worker)
      expect(message).toContain(run.copies)
      // Nothing whose copy could not be stored counts as handled.
      expect(await run.committed()).toBe(before)
    })

    test('partitions added to a source', LIMIT, async () => {
      const { run, worker } = await working()
      await using _run = run
      await eyes.raisePartitions(run.numbers, 6)
      await run.send(1000)
      const { code, message } = await reasonOf(worker)
      expect(code).toBe('PARTITIONS_CHANGED')
      expect(message).toContain(`${run.numbers} had 4 partitions and now has 6`)
    })
  })
})

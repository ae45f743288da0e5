import {
  type CommitOffset,
  type Deferred,
  deferred,
  MillraceError,
  type RawHeaders,
  type RecordBatch,
  systemClock,
  type TopicPartition,
} from '@millrace/core'
import type { Consumer, ConsumerOptions, Producer, Transport } from '@millrace/core/driver'
import { createMemoryLog, createMemoryTransport, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { encodeCommitMetadata } from '../records/commit-metadata.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import {
  Outside,
  runWorker,
  silentLog,
  type TestAgent,
  type TestWorker,
  until,
} from '../fixtures/test-worker.fixture.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'
import { brokenBatchesTopic } from './broken-batches.ts'

const BROKEN = { from: 10, to: 15 }
const DATA = Buffer.alloc(150_000, 'broken ')

/** Offsets 10 to 14 of partition 0 of `in` are unreadable, and a later record has a timestamp beyond any date. */
class BrokenTransport extends LeasedTransport {
  /** How often reading was stopped: the rest of a batch is then not given out. */
  stops = 0

  constructor(inner: Transport) {
    super(inner, () => 0)
  }

  override consumer(options: ConsumerOptions): Consumer {
    const inner = super.consumer(options)
    const stop = (partitions: readonly TopicPartition[]): void => {
      this.stops++
      inner.stop(partitions)
    }
    return { ...inner, stop, batches: () => broken(inner.batches(), () => this.stops) }
  }
}

/** Stores no bytes of a broken batch until a test lets it. */
class SlowKeeping extends BrokenTransport {
  readonly go: Deferred<void> = deferred<void>()
  keeping = false

  override producer(): Producer {
    const inner = super.producer()
    return {
      partitions: (topic) => inner.partitions(topic),
      brokerOf: (partition) => inner.brokerOf(partition),
      send: async (records, options) => {
        if (records.some(({ topic }) => topic === brokenBatchesTopic('app'))) {
          this.keeping = true
          await this.go.promise
        }
        return inner.send(records, options)
      },
      close: () => inner.close(),
    }
  }
}

async function* broken(
  batches: AsyncIterable<RecordBatch>,
  stops: () => number,
): AsyncGenerator<RecordBatch, void, undefined> {
  for await (const batch of batches) {
    const { position, nextOffset, topic, partition } = batch
    if (topic !== 'in' || partition !== 0 || nextOffset <= BROKEN.from || position >= BROKEN.to) {
      yield batch
      continue
    }
    const stretch = (from: number, to: number): RecordBatch => ({
      ...batch,
      position: from,
      nextOffset: to,
      records: batch.records.filter(({ offset }) => offset >= from && offset < to),
    })
    if (position < BROKEN.from) yield stretch(position, BROKEN.from)
    const from = Math.max(position, BROKEN.from)
    const to = Math.min(nextOffset, BROKEN.to)
    const error = new MillraceError('BATCH_CORRUPT', `Topic "in" partition 0, offsets ${from} to ${to - 1}: damaged.`)
    const stopped = stops()
    yield { ...stretch(from, to), records: [], bytes: 0, broken: { error, data: DATA } }
    if (stops() === stopped && nextOffset > BROKEN.to)
      yield { ...stretch(Math.max(position, BROKEN.to), nextOffset), clampedTimestamps: 1 }
  }
}

interface Setting {
  readonly log: MemoryLog
  readonly outside: Outside
  readonly handled: Map<string, number[]>
  readonly run: (settings: Partial<WorkerSettings>) => Promise<TestWorker>
}

/** Sends 30 numbers to partition 0, where each equals its offset, and some to the others. */
async function setting(agents: readonly string[] = ['a']): Promise<Setting> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  await outside.numbers('in', { count: 60, partitions: 2, keys: 2 })
  const handled = new Map(agents.map((name) => [name, [] as number[]]))
  const run = (settings: Partial<WorkerSettings>): Promise<TestWorker> =>
    runWorker(
      log,
      {
        agents: agents.map((name): TestAgent => ({
          name,
          topics: ['in'],
          handler: ({ partition, offset }) => void (partition === 0 && handled.get(name)?.push(offset)),
        })),
        settings,
      },
      { wrap: (inner) => new BrokenTransport(inner) },
    )
  return { log, outside, handled, run }
}

const committed = ({ worker }: TestWorker): number | undefined =>
  worker.stats().sources.find(({ partition }) => partition === 0)?.committed

const without = (from: number, to: number): readonly number[] =>
  Array.from({ length: 30 }, (_, offset) => offset).filter((offset) => offset < from || offset >= to)

test("onBatchError 'stop' ends the worker and names topic, partition, offsets and the remedies", async () => {
  const { run, handled } = await setting()
  await expect(ended(run({}))).rejects.toMatchObject({
    code: 'BATCH_CORRUPT',
    message: expect.stringMatching(
      /"in" partition 0, offsets 10 to 14: damaged\. .*stop all workers and run "millrace skip in\/0@14".*onBatchError/,
    ),
  })
  for (const offset of handled.get('a') ?? []) expect(offset).toBeLessThan(BROKEN.from)
})

test.each([false, true])(
  "onBatchError 'skip' continues after the batch and counts it, exactly once: %s",
  async (exactlyOnce) => {
    const { run, handled } = await setting()
    const running = await run({ onBatchError: 'skip', exactlyOnce })
    await until('the commit', () => committed(running) === 30)
    expect(handled.get('a')).toEqual(without(10, 15))
    expect(running.worker.stats()).toMatchObject({
      brokenBatches: 1,
      clampedTimestamps: 1,
      lastErrors: [{ source: 'in/0', message: expect.stringContaining('offsets 10 to 14') }],
    })
    await running.worker.stop()
  },
)

test.each([false, true])(
  "onBatchError 'deadLetter' keeps the bytes in pieces that the broker accepts, exactly once: %s",
  async (exactlyOnce) => {
    const { run, handled, log } = await setting()
    const running = await run({ onBatchError: 'deadLetter', exactlyOnce })
    await until('the commit', () => committed(running) === 30)
    expect(handled.get('a')).toEqual(without(10, 15))
    await running.worker.stop()
    const letters = log.records(brokenBatchesTopic('app'))
    expect(Buffer.concat(letters.map(({ value }) => value ?? Buffer.alloc(0))).equals(DATA)).toBe(true)
    expect(letters.length).toBe(3)
    for (const [i, { headers }] of letters.entries())
      expect(text(headers)).toMatchObject({
        'millrace-topic': 'in',
        'millrace-partition': '0',
        'millrace-offset': '10',
        'millrace-next-offset': '15',
        'millrace-piece': String(i + 1),
        'millrace-pieces': '3',
        'millrace-error-code': 'BATCH_CORRUPT',
      })
  },
)

test('a task that is lost while a batch is stored, and comes back, reads again from the committed offset', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 2)
  await outside.numbers('in', { count: 60, partitions: 2, keys: 2 })
  const handled: number[] = []
  const free = deferred<void>()
  const slow: SlowKeeping[] = []
  const running = await runWorker(
    log,
    {
      agents: [
        {
          name: 'a',
          topics: ['in'],
          handler: async ({ partition, offset }) => {
            await free.promise
            if (partition === 0) handled.push(offset)
          },
        },
      ],
      settings: { onBatchError: 'deadLetter', drainTimeoutMs: 100 },
    },
    {
      wrap: (inner) => {
        const transport = new SlowKeeping(inner)
        slow.push(transport)
        return transport
      },
    },
  )
  await until('the batch to be stored', () => slow[0]?.keeping === true)
  running.transport.expire()
  await until(
    'the task to be back',
    () => running.worker.stats().rebalances === 2 && running.worker.status === 'running',
  )
  slow[0]?.go.resolve()
  free.resolve()
  await until('the commit', () => committed(running) === 30)
  expect([...new Set(handled)].toSorted((a, b) => a - b)).toEqual(without(10, 15))
  await running.worker.stop()
})

test('a batch that cannot be kept ends the worker, and nothing is committed past it', async () => {
  const { run, log, outside } = await setting()
  await outside.topic(brokenBatchesTopic('app'), 1, { 'max.message.bytes': '100' })
  await expect(ended(run({ onBatchError: 'deadLetter' }))).rejects.toMatchObject({
    message: expect.stringMatching(/cannot be kept in app-__broken-batches.*millrace skip in\/0@14/),
  })
  expect(log.committed('app').find(({ partition }) => partition === 0)?.offset ?? 0).toBeLessThanOrEqual(BROKEN.from)
})

test('a broken batch that the commit marks as finished by all agents is skipped, and each agent keeps its position', async () => {
  const { run, handled, log } = await setting(['a', 'b'])
  const skipped = [{ from: BROKEN.from, to: BROKEN.to }]
  const progress = new Map([
    ['a', { position: 4, finished: skipped }],
    ['b', { position: 8, finished: skipped }],
  ])
  await commit(log, { topic: 'in', partition: 0, offset: 4, metadata: encodeCommitMetadata(4, progress).text })
  const running = await run({})
  await until('the commit', () => committed(running) === 30)
  expect(handled.get('a')).toEqual(without(10, 15).slice(4))
  expect(handled.get('b')).toEqual(without(10, 15).slice(8))
  await running.worker.stop()
})

test('a broken batch that the commit does not mark as finished by every agent still ends the worker', async () => {
  const { run, log } = await setting(['a', 'b'])
  const progress = new Map([
    ['a', { position: 10, finished: [{ from: 10, to: 15 }] }],
    ['b', { position: 10, finished: [{ from: 10, to: 14 }] }],
  ])
  const { text: metadata } = encodeCommitMetadata(10, progress)
  await commit(log, { topic: 'in', partition: 0, offset: 10, metadata })
  await expect(ended(run({}))).rejects.toMatchObject({ code: 'BATCH_CORRUPT' })
})

/** The worker may fail during its start or later. */
async function ended(running: Promise<TestWorker>): Promise<void> {
  await (
    await running
  ).worker.finished
}

function text(headers: RawHeaders): Readonly<Record<string, string>> {
  return Object.fromEntries(headers.map(([name, value]) => [name, String(value)]))
}

async function commit(log: MemoryLog, offset: CommitOffset): Promise<void> {
  await createMemoryTransport(log, { clock: systemClock(), log: silentLog }).admin().commit('app', [offset])
}

import { deferred, type Logger, type RecordBatch } from '@millrace/core'
import type { Consumer, ConsumerOptions, Transport } from '@millrace/core/driver'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { describe, expect, test } from 'vitest'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, outgoing, runWorker, silentLog, type TestWorker, until } from '../fixtures/test-worker.fixture.ts'
import type { WorkerSettings } from '../environment/worker-environment.ts'

/** More records than one fetch of a partition holds. */
const RECORDS = 20
const PADDING = 'x'.repeat(30_000)

interface Overtaken extends TestWorker {
  readonly log: MemoryLog
  readonly outside: Outside
  readonly handled: readonly number[]
  readonly errors: readonly string[]
}

/** A worker whose agent was so slow that of 20 records all but the last `left` were deleted meanwhile. */
async function overtaken(
  left: number,
  settings: Partial<WorkerSettings>,
  purged: readonly string[] = [],
): Promise<Overtaken> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.send(Array.from({ length: RECORDS }, (_, i) => outgoing('in', 0, `k${i}`, `${i} ${PADDING}`)))
  const handled: number[] = []
  const errors: string[] = []
  const slow = deferred<void>()
  const logger: Logger = { ...silentLog, error: (_fields, message) => errors.push(message) }
  const handler = async ({ offset }: { readonly offset: number }): Promise<void> => {
    if (offset < RECORDS) await slow.promise
    handled.push(offset)
  }
  const made = await runWorker(
    log,
    { agents: [{ name: 'a', topics: ['in'], handler }], purged, settings: { maxBufferedBytes: 1, ...settings } },
    { log: logger },
  )
  await until('the buffer to be full', () => made.worker.stats().sources[0]?.paused === 'buffer')
  log.deleteRecords('in', 0, RECORDS - left)
  // Acts like another worker that has taken over the task.
  if (purged.length > 0)
    await log.backend.write('groups', (writes) =>
      writes.putCommitted('app', { topic: 'in', partition: 0, offset: RECORDS - left, metadata: '' }),
    )
  slow.resolve()
  return { ...made, log, outside, handled, errors }
}

describe.each([false, true])('records deleted ahead of a running worker, exactly once: %s', (exactlyOnce) => {
  test("'earliest' continues with the remaining records, and reports the loss once", async () => {
    const { worker, log, outside, handled, errors } = await overtaken(2, { onOffsetLost: 'earliest', exactlyOnce })
    await until('the last record', () => handled.at(-1) === RECORDS - 1)
    const first = handled.length - 2
    expect(handled).toEqual([...Array.from({ length: first }, (_, i) => i), RECORDS - 2, RECORDS - 1])
    expect(errors).toEqual([
      `Topic "in" partition 0 begins at offset 18: ${18 - first} records were deleted before being read, offsets ${first} to 17. Reading goes on at 18 (onOffsetLost: 'earliest').`,
    ])
    await outside.send([outgoing('in', 0, 'k', 'later')])
    await until('a later record', () => handled.at(-1) === RECORDS)
    await worker.stop()
    expect(log.committed('app')).toMatchObject([{ offset: RECORDS + 1 }])
  })

  test('commits pass a hole at the end of the log', async () => {
    const { worker, log, errors } = await overtaken(0, { onOffsetLost: 'earliest', exactlyOnce })
    await until('the commit', () => log.committed('app')[0]?.offset === RECORDS)
    expect(errors.length).toBe(1)
    await worker.stop()
  })

  test("'stop' ends with the reason, and commits nothing beyond the hole", async () => {
    const { worker, log } = await overtaken(2, { onOffsetLost: 'stop', exactlyOnce })
    await expect(worker.finished).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      message: expect.stringMatching(/"in" partition 0 begins at offset 18.*onOffsetLost: 'stop'/),
    })
    expect(log.committed('app')[0]?.offset ?? 0).toBeLessThan(RECORDS - 2)
  })
})

test.each([false, true])(
  'records of a repartition topic that another worker has read and deleted are no loss for a suspended worker: exactly once %s',
  async (exactlyOnce) => {
    const { worker, handled, errors } = await overtaken(
      2,
      { onOffsetLost: 'stop', exactlyOnce, commitIntervalMs: 60_000 },
      ['in'],
    )
    await until('the last record', () => handled.at(-1) === RECORDS - 1)
    expect(handled.slice(-2)).toEqual([RECORDS - 2, RECORDS - 1])
    expect(errors).toEqual([])
    await worker.stop()
  },
)

test('deleted records of a repartition topic that nobody has read are a loss', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 10, partitions: 1 })
  await log.backend.write('groups', (writes) =>
    writes.putCommitted('app', { topic: 'in', partition: 0, offset: 3, metadata: '' }),
  )
  log.deleteRecords('in', 0, 5)
  const app = { agents: [{ name: 'a', topics: ['in'], handler: () => {} }], purged: ['in'] } as const
  await expect(runWorker(log, app)).rejects.toMatchObject({
    code: 'OFFSET_OUT_OF_RANGE',
    message: expect.stringContaining('offsets 3 to 4'),
  })
})

test('commits pass a hole that is found at the start too, and it is reported once', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 10, partitions: 1 })
  const app = {
    agents: [{ name: 'a', topics: ['in'], handler: () => {} }],
    settings: { onOffsetLost: 'earliest' },
  } as const
  const first = await runWorker(log, app)
  await until('all records', () => first.worker.stats().agents['a']?.processed === 10)
  await first.worker.stop()
  await outside.numbers('in', { count: 10, partitions: 1 })
  log.deleteRecords('in', 0, 20)
  for (const told of [1, 0]) {
    const errors: string[] = []
    const logger: Logger = { ...silentLog, error: (_fields, message) => errors.push(message) }
    const { worker } = await runWorker(log, app, { log: logger })
    await worker.stop()
    expect(errors.length).toBe(told)
    expect(log.committed('app')).toMatchObject([{ offset: 20 }])
  }
})

/** Reports that the log ends before a position, like a broker that has lost its last records. */
class CutOffTransport extends LeasedTransport {
  cutOff: () => void = () => {}

  override consumer(options: ConsumerOptions): Consumer {
    this.cutOff = () => options.onOutOfRange?.({ topic: 'in', partition: 0, position: 10, beginning: 0, end: 5 })
    return super.consumer(options)
  }
}

test('a truncated log is read again from the committed offset at least once, and exactly once stops', async () => {
  for (const exactlyOnce of [false, true]) {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    await outside.numbers('in', { count: 10, partitions: 1 })
    const handled: number[] = []
    let transport: CutOffTransport | undefined
    const { worker } = await runWorker(
      log,
      {
        agents: [{ name: 'a', topics: ['in'], handler: ({ offset }) => void handled.push(offset) }],
        settings: { onOffsetLost: 'earliest', exactlyOnce, commitIntervalMs: 60_000 },
      },
      { wrap: (inner) => (transport = new CutOffTransport(inner, () => 0)) },
    )
    await until('all records', () => handled.length === 10)
    const cutOff = (): void => transport?.cutOff()
    if (exactlyOnce) expect(cutOff).toThrow(/OFFSET_OUT_OF_RANGE.*ends at offset 5.*exactly-once/)
    else {
      cutOff()
      await until('all records again', () => handled.length === 20)
    }
    await worker.stop()
  }
})

test('a log that was truncated and has since grown past the committed offset is read from its beginning', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.numbers('in', { count: 10, partitions: 1 })
  const handled: number[] = []
  const errors: string[] = []
  let transport: CutOffTransport | undefined
  const { worker } = await runWorker(
    log,
    {
      agents: [{ name: 'a', topics: ['in'], handler: ({ offset }) => void handled.push(offset) }],
      settings: { onOffsetLost: 'earliest' },
    },
    {
      wrap: (inner) => (transport = new CutOffTransport(inner, () => 0)),
      log: { ...silentLog, error: (_fields, message) => errors.push(message) },
    },
  )
  await until('the commit', () => log.committed('app')[0]?.offset === 10)
  // The log ended at 5. By now it has 10 records again, of which 5 are others, so that the committed offset seems to
  // exist.
  transport?.cutOff()
  await until('all records again', () => handled.length === 20)
  expect(handled.slice(10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(errors).toEqual([
    `Topic "in" partition 0 ends at offset 5, before 10, which had been read: its broker has lost records. Reading goes on at 0 (onOffsetLost: 'earliest').`,
  ])
  await worker.stop()
  expect(log.committed('app')).toMatchObject([{ offset: 10 }])
})

/** Loses or repeats some batches of a topic, like a driver with a fault. */
class FaultyTransport extends LeasedTransport {
  readonly #times: (nth: number) => number

  constructor(inner: Transport, times: (nth: number) => number) {
    super(inner, () => 0)
    this.#times = times
  }

  override consumer(options: ConsumerOptions): Consumer {
    const inner = super.consumer(options)
    return { ...inner, batches: () => this.#faulty(inner.batches()) }
  }

  async *#faulty(batches: AsyncIterable<RecordBatch>): AsyncGenerator<RecordBatch> {
    let nth = 0
    for await (const batch of batches) for (let times = this.#times(nth++); times > 0; times--) yield batch
  }
}

test.each([
  ['left out', 0],
  ['given out twice', 2],
])('a batch that is %s ends the worker, and nothing is skipped or repeated', async (_what, times) => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.send(Array.from({ length: RECORDS }, (_, i) => outgoing('in', 0, `k${i}`, `${i} ${PADDING}`)))
  const handled: number[] = []
  const { worker } = await runWorker(
    log,
    { agents: [{ name: 'a', topics: ['in'], handler: ({ offset }) => void handled.push(offset) }] },
    { wrap: (inner) => new FaultyTransport(inner, (nth) => (nth === 1 ? times : 1)) },
  )
  await expect(worker.finished).rejects.toMatchObject({
    code: 'POSITION_MISMATCH',
    message: expect.stringMatching(/in\/0 holds offsets \d+ to \d+, but the next offset to read is \d+/),
  })
  expect(handled).toEqual(handled.map((_, i) => i))
  expect(handled.length).toBeLessThan(RECORDS)
  expect(log.committed('app')[0]?.offset ?? 0).toBeLessThanOrEqual(handled.length)
})

import { deferred, type Logger, manualClock } from '@millrace/core'
import type { HandedOutEvent } from '../contracts/event.ts'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { StuckPartitions } from '../fixtures/stuck-partitions.fixture.ts'
import {
  Outside,
  outgoing,
  runWorker,
  silentLog,
  type TestApp,
  testWorker,
  until,
} from '../fixtures/test-worker.fixture.ts'

const PARTITIONS = 4
const STUCK = { topic: 'out', partition: 2 }
const COUNT = 400
const EACH = COUNT / PARTITIONS

const committedOf = (log: MemoryLog, partition: number): number =>
  log.committed('app').find((offset) => offset.topic === 'in' && offset.partition === partition)?.offset ?? 0
const isDone = (log: MemoryLog, count = EACH): boolean =>
  [0, 1, 3].every((partition) => committedOf(log, partition) === count)

/** Counts keys, and copies each event into the partition from which it came. */
function copyingApp(
  settings: TestApp['settings'],
  bytes = 10,
): { readonly app: TestApp; readonly counts: ReturnType<typeof countTable> } {
  const counts = countTable('counts')
  const copy = (event: HandedOutEvent): void => {
    addTo(counts, event, String(event.record.key))
    const value = `${String(event.record.value)} ${'x'.repeat(bytes)}`
    event.send(outgoing('out', Number(String(event.record.key).slice(1)) % PARTITIONS, String(event.record.key), value))
  }
  return {
    counts,
    app: {
      agents: [{ name: 'copier', topics: ['in'], handler: copy }],
      tables: [counts],
      topics: { out: PARTITIONS },
      settings: { commitIntervalMs: 10, ...settings },
    },
  }
}

for (const exactlyOnce of [false, true])
  test(`a partition that accepts no records delays only the task that needs it, until it does (exactly once: ${exactlyOnce})`, async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', PARTITIONS)
    await outside.numbers('in', { count: COUNT, partitions: PARTITIONS })
    let transport: StuckPartitions | undefined
    const errors: string[] = []
    const logger: Logger = { ...silentLog, error: (_, message) => void errors.push(message) }
    // The records that wait for it alone would exceed the bound of pending sends.
    const { app, counts } = copyingApp({ exactlyOnce, deliveryTimeoutMs: 100, maxPendingSendBytes: 20_000 }, 1000)
    const { worker } = await runWorker(log, app, {
      log: logger,
      wrap: (inner) => {
        transport = new StuckPartitions(inner, () => performance.now())
        transport.stick(STUCK)
        return transport
      },
    })
    await until('all others to be committed', () => isDone(log))
    await outside.numbers('in', { first: COUNT, count: COUNT, partitions: PARTITIONS })
    await until('all others to be committed again', () => isDone(log, 2 * EACH))
    expect(committedOf(log, STUCK.partition)).toBe(0)
    expect(log.records('out').every(({ key }) => Number(String(key).slice(1)) % PARTITIONS !== STUCK.partition)).toBe(
      true,
    )
    await until('overdue', () => worker.stats().delays[0]?.overdue === true)
    expect(worker.stats().delays).toMatchObject([{ ...STUCK, reason: 'Too few replicas.', tasks: ['4-2'] }])
    expect(errors).toEqual([
      expect.stringMatching(/out\/2 has accepted no records for 100 ms .*Task 4-2 makes no progress/),
    ])
    expect(worker.stats().pendingSends.full).toBe(false)
    transport?.heal(STUCK)
    await until('all committed', () => committedOf(log, STUCK.partition) === 2 * EACH)
    expect(worker.stats().delays).toEqual([])
    const values = log
      .records('out')
      .filter(({ key }) => Number(String(key).slice(1)) % PARTITIONS === STUCK.partition)
      .map(({ value }) => Number(String(value).split(' ')[0]))
    expect(values).toEqual(values.toSorted((a, b) => a - b))
    expect(values.length).toBe(2 * EACH)
    expect([...countsOf(worker.context.openStates(counts)).values()].reduce((sum, n) => sum + n, 0)).toBe(2 * COUNT)
    await worker.stop()
  })

for (const exactlyOnce of [false, true])
  test(`a rebalance does not wait for a task whose partition accepts no records (exactly once: ${exactlyOnce})`, async () => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', PARTITIONS)
    await outside.numbers('in', { count: COUNT, partitions: PARTITIONS })
    const { app } = copyingApp({ exactlyOnce, rebalanceTimeoutMs: 120_000, shutdownTimeoutMs: 100 })
    const wrap = (inner: ConstructorParameters<typeof StuckPartitions>[0]): StuckPartitions => {
      const transport = new StuckPartitions(inner, () => performance.now())
      transport.stick(STUCK)
      return transport
    }
    const first = await runWorker(log, app, { id: 'first', wrap })
    await until('all others to be committed', () => isDone(log))
    const second = testWorker(log, app, { id: 'second', wrap })
    const started = second.worker.start()
    // A commit may take half of rebalanceTimeout at most, and with this limit the test would not notice that it did.
    await until(
      'each worker to have its share',
      () => second.worker.assignment().tasks.length === PARTITIONS / 2,
      10_000,
    )
    await started
    await outside.numbers('in', { first: COUNT, count: COUNT, partitions: PARTITIONS })
    await until('all others to be committed again', () => isDone(log, 2 * EACH))
    await Promise.all([first.worker.stop({ hard: true }), second.worker.stop({ hard: true })])
  })

test.each([0, 1, 2, 3].flatMap((stuck) => [[stuck, false] as const, [stuck, true] as const]))(
  'tasks that are due after a waiting one are committed even without further events (partition %s, exactly once: %s)',
  async (stuck, exactlyOnce) => {
    const clock = manualClock()
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', PARTITIONS)
    const { app } = copyingApp({ exactlyOnce, commitIntervalMs: 800 })
    const { worker } = await runWorker(log, app, {
      clock,
      wrap: (inner) => {
        const transport = new StuckPartitions(inner, () => clock.monotonic())
        transport.stick({ topic: 'out', partition: stuck })
        return transport
      },
    })
    await outside.numbers('in', { count: PARTITIONS, partitions: PARTITIONS })
    await until('handled', () => worker.stats().agents['copier']?.processed === PARTITIONS)
    for (let i = 0; i < 40; i++) await clock.advance(50)
    await until(
      'the others to be committed',
      () => [0, 1, 2, 3].every((partition) => partition === stuck || committedOf(log, partition) === 1),
      2000,
    )
    expect(committedOf(log, stuck)).toBe(0)
    await worker.stop({ hard: true })
  },
)

test('sends of a waiting task take no room from other tasks (exactly once)', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const [others, go] = [deferred<void>(), deferred<void>()]
  let transport: StuckPartitions | undefined
  let waiting = 0
  const settings = { exactlyOnce: true, commitIntervalMs: 10, maxPendingSendBytes: 20_000 }
  const { worker } = await runWorker(
    log,
    {
      agents: [
        {
          name: 'copier',
          topics: ['in'],
          instances: 32,
          ordering: 'none',
          handler: async (event) => {
            const { partition } = event
            if (partition === STUCK.partition) {
              if (String(event.record.value) === '0') await others.promise
              else {
                if (++waiting === 31) others.resolve()
                await go.promise
              }
            }
            event.send(outgoing('out', partition, 'k', 'x'.repeat(2000)))
          },
        },
      ],
      topics: { out: PARTITIONS },
      settings,
    },
    {
      wrap: (inner) => {
        transport = new StuckPartitions(inner, () => performance.now())
        transport.stick(STUCK)
        return transport
      },
    },
  )
  const send = (partition: number, count: number): Promise<void> =>
    outside.send(Array.from({ length: count }, (_, i) => outgoing('in', partition, `k${i}`, String(i))))
  // The first event's send waits for its partition, and so does the commit; the others are in flight by then.
  await send(STUCK.partition, 100)
  await until(
    'its commit to wait',
    () => worker.stats().delays.length === 1 && worker.quiet().inFlight.includes('a commit'),
  )
  go.resolve()
  await until('the events to finish', () => worker.stats().agents['copier']?.active === 0)
  for (const partition of [0, 1, 3]) await send(partition, 50)
  await until('all others to be committed', () => isDone(log, 50), 5000)
  // Fetched records are not handed out either.
  expect(worker.stats().agents['copier']?.processed).toBe(1 + waiting + 150)
  expect(waiting).toBeLessThan(40)
  expect(committedOf(log, STUCK.partition)).toBe(0)
  transport?.heal(STUCK)
  await until('all committed', () => committedOf(log, STUCK.partition) === 100)
  await worker.stop()
})

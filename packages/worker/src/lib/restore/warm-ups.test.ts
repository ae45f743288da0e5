import { systemClock } from '@millrace/core'
import type { Reader } from '@millrace/core/driver'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, runWorker, type TestApp, type TestWorker, until } from '../fixtures/test-worker.fixture.ts'

const clock = systemClock()
const PARTITIONS = 6
const KEYS = 600
const ACCEPTABLE = 30

interface CountingApp extends TestApp {
  readonly counts: ReturnType<typeof countTable>
}

function countingApp(settings: TestApp['settings'] = {}): CountingApp {
  const counts = countTable('counts')
  return {
    counts,
    settings: { acceptableRecoveryLag: ACCEPTABLE, ...settings },
    tables: [counts],
    agents: [{ name: 'count', topics: ['in'], handler: (event) => addTo(counts, event, String(event.record.key)) }],
  }
}

const committed = (log: MemoryLog): number => log.committed('app').reduce((sum, { offset }) => sum + offset, 0)
const tasksOf = ({ worker }: TestWorker): string[] => worker.assignment().tasks.map(({ id }) => id)
const restored = ({ worker }: TestWorker): number => worker.stats().states['counts']?.recovery.restoredRows ?? 0
const copies = ({ worker }: TestWorker): number => worker.stats().states['counts']?.standbys.length ?? 0

/** Its readers report the ends of changelogs, but never reach them. */
class WithoutChangelogs extends LeasedTransport {
  override reader(options: Parameters<LeasedTransport['reader']>[0]): Reader {
    const inner = super.reader(options)
    return {
      assign: () => {},
      unassign: (partition) => inner.unassign(partition),
      batches: () => inner.batches(),
      offsets: (partitions) => inner.offsets(partitions),
      close: () => inner.close(),
    }
  }
}

/** One worker that has counted all keys once: 100 rows in the changelog of each partition. */
async function oneWorker(settings: TestApp['settings'] = {}, store: HeapStore = new HeapStore()) {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const app = countingApp(settings)
  const first = await runWorker(log, app, { id: 'first', store })
  await outside.numbers('in', { count: KEYS, partitions: PARTITIONS, keys: KEYS })
  await until('all committed', () => committed(log) === KEYS)
  return { log, outside, app, first }
}

for (const exactlyOnce of [false, true])
  for (const standbys of [0, 1])
    test(`a worker that joins under load gets copies before tasks, then reads only their ends, and nothing counts twice; exactly once: ${exactlyOnce}, standbys: ${standbys}`, async () => {
      const settings = { exactlyOnce, standbys }
      const { log, outside, app, first } = await oneWorker(settings)
      let sent = KEYS
      const load = async (): Promise<void> => {
        await outside.numbers('in', { first: sent, count: 60, partitions: PARTITIONS, keys: KEYS })
        sent += 60
        await until('handled', () => committed(log) === sent)
      }
      const other = countingApp(settings)
      const taken: { readonly restored: number; readonly tasks: number }[] = []
      const second = await runWorker(log, other, { id: 'second', store: new HeapStore() })
      second.worker.on('rebalanceComplete', () =>
        taken.push({ restored: restored(second), tasks: tasksOf(second).length }),
      )
      expect(tasksOf(second)).toEqual([])
      while (tasksOf(second).length < PARTITIONS / 2) await load()
      await load()
      expect(tasksOf(first).length).toBe(PARTITIONS / 2)
      expect(restored(second)).toBeLessThanOrEqual((PARTITIONS / 2) * ACCEPTABLE)
      // Each task needs at most one rebalance, and each of those has moved one.
      expect(taken.length).toBeLessThanOrEqual(PARTITIONS / 2)
      taken.forEach(({ tasks }, i) => expect(tasks).toBeGreaterThan(taken[i - 1]?.tasks ?? 0))
      expect(second.worker.stats().lastRebalance?.reason).toMatch(/moved to (its|their) warm/)
      const counts = new Map([
        ...countsOf(first.worker.context.openStates(app.counts)),
        ...countsOf(second.worker.context.openStates(other.counts)),
      ])
      expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(sent)
      await Promise.all([first.worker.stop(), second.worker.stop()])
    })

test('at most two copies are under way at a time, and none is left at the end', async () => {
  const { log, first } = await oneWorker()
  const second = await runWorker(log, countingApp(), { id: 'second' })
  let most = 0
  await until('each worker to have three tasks', () => {
    most = Math.max(most, copies(second))
    return tasksOf(second).length === PARTITIONS / 2
  })
  expect(most).toBeLessThanOrEqual(2)
  await until('no copies', () => copies(second) === 0 && copies(first) === 0)
  await Promise.all([first.worker.stop(), second.worker.stop()])
})

test('tasks without much state move at once', async () => {
  const { log, first } = await oneWorker({ acceptableRecoveryLag: 100 })
  const second = await runWorker(log, countingApp({ acceptableRecoveryLag: 100 }), { id: 'second' })
  expect(tasksOf(second).length).toBe(PARTITIONS / 2)
  expect(second.worker.stats().rebalances).toBe(1)
  await Promise.all([first.worker.stop(), second.worker.stop()])
})

test('when the owner leaves, warmed-up tasks are taken over at once, and so are the others', async () => {
  const { log, outside, first } = await oneWorker()
  const second = await runWorker(log, countingApp(), { id: 'second' })
  first.kill()
  await until('all tasks', () => tasksOf(second).length === PARTITIONS)
  await outside.numbers('in', { first: KEYS, count: KEYS, partitions: PARTITIONS, keys: KEYS })
  await until('all committed', () => committed(log) === 2 * KEYS)
  await second.worker.stop()
})

test('a worker that returns with its rows on disk gets its tasks at once', async () => {
  const { log, outside, first } = await oneWorker()
  const disk = new HeapStore()
  const second = await runWorker(log, countingApp(), { id: 'second', store: disk })
  await until('each worker to have three tasks', () => tasksOf(second).length === PARTITIONS / 2)
  const had = tasksOf(second).toSorted()
  await second.worker.stop()
  await until('all tasks', () => tasksOf(first).length === PARTITIONS && first.worker.status === 'running')
  await outside.numbers('in', { first: KEYS, count: 60, partitions: PARTITIONS, keys: KEYS })
  await until('all committed', () => committed(log) === KEYS + 60)
  const back = await runWorker(log, countingApp(), { id: 'back', store: disk })
  expect(tasksOf(back).toSorted()).toEqual(had)
  expect(restored(back)).toBeLessThanOrEqual(ACCEPTABLE)
  expect(back.worker.stats().rebalances).toBe(1)
  await Promise.all([first.worker.stop(), back.worker.stop()])
})

test('a copy that cannot catch up causes no rebalance, and its task stays in place', async () => {
  const { log, outside, first } = await oneWorker()
  const second = await runWorker(log, countingApp(), {
    id: 'second',
    wrap: (inner) => new WithoutChangelogs(inner, () => clock.monotonic()),
  })
  const before = first.worker.stats().rebalances
  await until('copies that wait', () => copies(second) === 2)
  for (let round = 1; round <= 5; round++) {
    await outside.numbers('in', { first: round * KEYS, count: KEYS, partitions: PARTITIONS, keys: KEYS })
    await until('all committed', () => committed(log) === (round + 1) * KEYS)
  }
  expect(first.worker.stats().rebalances).toBe(before)
  expect(tasksOf(first).length).toBe(PARTITIONS)
  await Promise.all([first.worker.stop(), second.worker.stop()])
})

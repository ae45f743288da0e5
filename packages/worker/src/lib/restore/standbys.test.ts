import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Outside, runWorker, type TestApp, type TestWorker, until } from '../fixtures/test-worker.fixture.ts'

const PARTITIONS = 6
const KEYS = 600

interface CountingApp extends TestApp {
  readonly counts: ReturnType<typeof countTable>
}

function countingApp(settings: TestApp['settings'] = {}, standbys?: number): CountingApp {
  const counts = countTable('counts', undefined, standbys)
  return {
    counts,
    settings,
    tables: [counts],
    agents: [{ name: 'count', topics: ['in'], handler: (event) => addTo(counts, event, String(event.record.key)) }],
  }
}

const committed = (log: MemoryLog): number => log.committed('app').reduce((sum, { offset }) => sum + offset, 0)
const tasksOf = ({ worker }: TestWorker): string[] => worker.assignment().tasks.map(({ id }) => id)
const copiesOf = ({ worker }: Pick<TestWorker, 'worker'>) => worker.stats().states['counts']?.standbys ?? []
const restored = ({ worker }: TestWorker): number => worker.stats().states['counts']?.recovery.restoredRows ?? 0
const warm = (workers: readonly TestWorker[], copies: number): boolean => {
  const all = workers.flatMap((worker) => copiesOf(worker))
  return (
    all.length === copies &&
    all.every(({ lag }) => lag === 0) &&
    all.reduce((sum, { rows }) => sum + rows, 0) === (copies / PARTITIONS) * KEYS
  )
}

async function threeWorkers(log: MemoryLog, settings: TestApp['settings'], durable: boolean) {
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const apps = [0, 1, 2].map(() => countingApp(settings))
  const workers: TestWorker[] = []
  for (const [i, app] of apps.entries())
    workers.push(await runWorker(log, app, { id: `w${i}`, store: new HeapStore(undefined, { durable }) }))
  await until('each worker to have two tasks', () => workers.every((worker) => tasksOf(worker).length === 2))
  await outside.numbers('in', { count: KEYS * 10, partitions: PARTITIONS, keys: KEYS })
  await until('all committed', () => committed(log) === KEYS * 10)
  return { outside, apps, workers }
}

for (const exactlyOnce of [false, true])
  for (const durable of [true, false])
    test(`a task moves to its copy, which is then read to the end; exactly once: ${exactlyOnce}, durable: ${durable}`, async () => {
      const log = createMemoryLog()
      const { outside, apps, workers } = await threeWorkers(log, { exactlyOnce, standbys: 1 }, durable)
      await until('warm copies', () => warm(workers, PARTITIONS))
      for (const worker of workers)
        expect(
          copiesOf(worker)
            .map(({ partition }) => `${PARTITIONS}-${partition}`)
            .filter((task) => tasksOf(worker).includes(task)),
        ).toEqual([])
      for (const [i, { worker }] of workers.entries()) {
        const { counts } = apps[i] ?? countingApp()
        const copied = new Set(copiesOf({ worker }).map(({ partition }) => partition))
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const copy = worker.context.copyOf(counts, partition)
          expect(copy?.lag).toBe(copied.has(partition) ? 0 : undefined)
        }
      }
      const [victim, ...rest] = workers
      const before = rest.map(restored)
      victim?.kill()
      await outside.numbers('in', { first: KEYS * 10, count: KEYS, partitions: PARTITIONS, keys: KEYS })
      await until('all committed', () => committed(log) === KEYS * 11)
      // A copy that was slightly behind at the kill is read to the end: a fraction of the 200 rows and 2,000 changes of
      // two tasks.
      expect(
        rest.map(restored).reduce((sum, rows) => sum + rows, 0) - before.reduce((sum, rows) => sum + rows, 0),
      ).toBeLessThan(100)
      const counts = new Map(
        rest.flatMap(({ worker }, i) => [
          ...countsOf(worker.context.openStates(apps[i + 1]?.counts ?? countTable('none'))),
        ]),
      )
      expect(counts.size).toBe(KEYS)
      expect([...new Set(counts.values())]).toEqual([11])
      // The two remaining workers keep copies for one another.
      await until('warm copies again', () => warm(rest, PARTITIONS))
      await Promise.all(rest.map(({ worker }) => worker.stop()))
    })

test('a new worker gets tasks; the previous owners keep them warm, without reading them anew', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const store = new HeapStore(undefined, { durable: false })
  const first = await runWorker(log, countingApp({ standbys: 1 }), { id: 'first', store })
  await outside.numbers('in', { count: KEYS, partitions: PARTITIONS, keys: KEYS })
  await until('all committed', () => committed(log) === KEYS)
  const second = await runWorker(log, countingApp({ standbys: 1 }), { id: 'second' })
  const had = tasksOf(first)
  await until(
    'each worker to have three tasks and copies',
    () => had.length === 3 && copiesOf(first).length === 3 && tasksOf(second).length === 3,
  )
  expect(copiesOf(first).map(({ rows }) => rows)).toEqual([100, 100, 100])
  await until('warm copies', () => warm([first, second], PARTITIONS))
  await second.worker.stop()
  await until(
    'one worker to have all tasks again',
    () => tasksOf(first).length === PARTITIONS && first.worker.status === 'running',
  )
  expect(restored(first)).toBe(0)
  await first.worker.stop()
})

test('a table may want no copies, or more than others', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  const workers: TestWorker[] = []
  for (const id of ['w0', 'w1', 'w2']) {
    const [none, two, one] = [countTable('none', undefined, 0), countTable('two', undefined, 2), countTable('one')]
    const app: TestApp = {
      settings: { standbys: 1 },
      tables: [none, two, one],
      agents: [{ name: 'a', topics: ['in'], handler: () => {} }],
    }
    workers.push(await runWorker(log, app, { id }))
  }
  const copies = (name: string): number =>
    workers.reduce((sum, { worker }) => sum + (worker.stats().states[name]?.standbys.length ?? 0), 0)
  await until('copies', () => copies('two') === 2 * PARTITIONS && copies('one') === PARTITIONS)
  expect(copies('none')).toBe(0)
  await Promise.all(workers.map(({ worker }) => worker.stop()))
})

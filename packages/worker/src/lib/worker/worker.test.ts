import { deferred, manualClock, silentSensor } from '@millrace/core'
import type { StorePartition } from '@millrace/core/driver'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Outside, runWorker, testWorker, until } from '../fixtures/test-worker.fixture.ts'
import { CountingSensor } from './counting-sensor.ts'

test('hands out every record in order per partition, and commits the end', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 4)
  await outside.numbers('in', { count: 1000, partitions: 4 })
  const seen = new Map<number, number[]>()
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'reader',
        topics: ['in'],
        handler: (event) => void seen.set(event.partition, [...(seen.get(event.partition) ?? []), event.offset]),
      },
    ],
  })
  await until('all seen', () => [...seen.values()].flat().length === 1000)
  await worker.stop()
  for (const offsets of seen.values()) expect(offsets).toEqual(offsets.map((_, i) => i))
  expect(log.committed('app').reduce((sum, { offset }) => sum + offset, 0)).toBe(1000)
  expect(worker.status).toBe('stopped')
  expect(worker.stats().agents['reader']).toMatchObject({ received: 1000, processed: 1000, active: 0, failed: 0 })
})

test('counts in a table survive a restart, with and without a store', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 4)
  const counts = countTable('counts')
  const app = {
    agents: [
      {
        name: 'counter',
        topics: ['in'],
        handler: (event: Parameters<typeof addTo>[1] & { record: { key: Buffer | null } }) =>
          addTo(counts, event, String(event.record.key)),
      },
    ],
    tables: [counts],
  }
  await outside.numbers('in', { count: 1000, partitions: 4 })
  const first = await runWorker(log, app)
  await until(
    'first 1000',
    () => [...countsOf(first.worker.context.openStates(counts)).values()].reduce((a, b) => a + b, 0) === 1000,
  )
  await first.worker.stop()
  await outside.numbers('in', { first: 1000, count: 500, partitions: 4 })
  const second = await runWorker(log, app)
  await until(
    '500 more',
    () => [...countsOf(second.worker.context.openStates(counts)).values()].reduce((a, b) => a + b, 0) === 1500,
  )
  await second.worker.stop()
  const third = await runWorker(log, app, { store: second.store })
  expect(third.worker.stats().states['counts']).toMatchObject({
    rows: 100,
    recovery: { state: 'done', restoredRows: 0 },
  })
  const all = countsOf(third.worker.context.openStates(counts))
  expect(all.size).toBe(100)
  for (const count of all.values()) expect(count).toBe(15)
  await third.worker.stop()
})

test('a stop while tasks are being opened closes their stores before it closes the driver', async () => {
  const log = createMemoryLog()
  await new Outside(log).topic('in', 4)
  const mayOpen = deferred<void>()
  const store = new SlowToOpen(mayOpen.promise)
  const agents = [{ name: 'counter', topics: ['in'], handler: () => {} }]
  const { worker } = testWorker(log, { agents, tables: [countTable('counts')] }, { store })
  const starting = worker.start()
  await until('stores to be opened', () => store.opening === 4)
  const stopping = worker.stop()
  await until('the worker to leave the group', () => log.group('app').members.size === 0)
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  mayOpen.resolve()
  await expect(starting).rejects.toMatchObject({ code: 'CLOSED' })
  await stopping
  expect(store.partitions.size).toBe(4)
  expect(store.leftOpen).toEqual([])
})

/** A store whose partitions are opened when `mayOpen` allows it. */
class SlowToOpen extends HeapStore {
  readonly #mayOpen: Promise<void>
  #closed = false
  opening = 0
  /** Partitions that were open when the driver was closed, or were opened later. */
  readonly leftOpen: string[] = []

  constructor(mayOpen: Promise<void>) {
    super()
    this.#mayOpen = mayOpen
  }

  override async open(table: string, partition: number): Promise<StorePartition> {
    this.opening++
    await this.#mayOpen
    if (this.#closed) this.leftOpen.push(`${table}/${partition}`)
    return super.open(table, partition)
  }

  override async close(): Promise<void> {
    this.#closed = true
    for (const [name, { isOpen }] of this.partitions) if (isOpen) this.leftOpen.push(name)
    await super.close()
  }
}

test('errors are counted by source, with a limit on sources so that their names cannot fill memory', () => {
  const sensor = new CountingSensor(silentSensor, manualClock())
  for (let i = 0; i < 300; i++) sensor.errorRaised({ source: `source ${i}`, error: new Error('no') })
  sensor.errorRaised({ source: 'source 0', error: new Error('no') })
  expect(sensor.errors).toBe(301)
  expect(sensor.errorsBySource).toMatchObject({ 'source 0': 2, 'source 199': 1, other: 100 })
  expect(Object.keys(sensor.errorsBySource).length).toBe(201)
})

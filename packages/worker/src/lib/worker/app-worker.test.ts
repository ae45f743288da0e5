import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { Outside, runWorker, until } from '../fixtures/test-worker.fixture.ts'

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

test('counts with a table survive a restart, without a store and with one', async () => {
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
    () => [...countsOf(first.worker.context.openParts(counts)).values()].reduce((a, b) => a + b, 0) === 1000,
  )
  await first.worker.stop()
  await outside.numbers('in', { first: 1000, count: 500, partitions: 4 })
  const second = await runWorker(log, app)
  await until(
    '500 more',
    () => [...countsOf(second.worker.context.openParts(counts)).values()].reduce((a, b) => a + b, 0) === 1500,
  )
  await second.worker.stop()
  const third = await runWorker(log, app, { store: second.store })
  expect(third.worker.stats().parts['counts']).toMatchObject({
    rows: 100,
    recovery: { state: 'done', restoredRows: 0 },
  })
  const all = countsOf(third.worker.context.openParts(counts))
  expect(all.size).toBe(100)
  for (const count of all.values()) expect(count).toBe(15)
  await third.worker.stop()
})

import { type Deferred, deferred, manualClock } from '@millrace/core'
import type { StoreChange } from '@millrace/core/driver'
import type { HandedOutEvent } from '../contracts/event.ts'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, COUNT_BYTES, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { outgoing, Outside, runWorker, type TestAgent, type TestApp, until } from '../fixtures/test-worker.fixture.ts'
import type { Worker } from '../contracts/worker.ts'

/** This many rows fill the bound. */
const ROWS = 100
const PARTITIONS = 4

async function numbersLog(count: number, keys: number): Promise<MemoryLog> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  await outside.numbers('in', { count, partitions: PARTITIONS, keys })
  return log
}

/** A table of counts whose commits are never triggered by the interval. */
function countingApp(exactlyOnce: boolean, agent: Partial<TestAgent> = {}): TestApp & { readonly seen: () => number } {
  const counts = countTable('counts')
  let seen = 0
  return {
    seen: () => seen,
    agents: [
      {
        name: 'counter',
        topics: ['in'],
        handler: (event) => {
          addTo(counts, event, String(event.record.key))
          seen++
        },
        ...agent,
      },
    ],
    tables: [counts],
    settings: { exactlyOnce, commitIntervalMs: 3_600_000, cacheBytes: ROWS * COUNT_BYTES },
  }
}

class SlowStore extends HeapStore {
  free: Promise<void> = Promise.resolve()

  override async commit(changes: readonly StoreChange[]): Promise<void> {
    await this.free
    await super.commit(changes)
  }
}

const committedSum = (log: MemoryLog): number => log.committed('app').reduce((sum, { offset }) => sum + offset, 0)

for (const exactlyOnce of [false, true]) {
  const guarantee = exactlyOnce ? 'exactly once' : 'at least once'

  test(`${guarantee}: changed rows stay within their bound and are committed long before the interval`, async () => {
    const log = await numbersLog(2000, 1000)
    const counts = countTable('counts')
    let peak = 0
    const looking: { worker?: Worker } = {}
    const app = countingApp(exactlyOnce, {
      handler: (event) => {
        addTo(counts, event, String(event.record.key))
        peak = Math.max(peak, looking.worker?.stats().changedRows.bytes ?? 0)
      },
    })
    const { worker } = await runWorker(log, { ...app, tables: [counts] }, { clock: manualClock() })
    looking.worker = worker
    await until('all handled', () => worker.stats().agents['counter']?.processed === 2000)
    expect(peak).toBeGreaterThan((ROWS / 2) * COUNT_BYTES)
    // An excess of one event does not show here, because the next event is not handed out.
    expect(peak).toBeLessThanOrEqual(ROWS * COUNT_BYTES)
    await until('early commits', () => committedSum(log) > 2000 - ROWS)
    await worker.stop()
    expect(committedSum(log)).toBe(2000)
    expect(worker.stats().changedRows).toEqual({ bytes: 0, full: false })
  })

  test(`${guarantee}: an event that changes more than the bound is committed, and so is the next one`, async () => {
    const log = await numbersLog(12, 12)
    const counts = countTable('counts')
    let most = 0
    const looking: { worker?: Worker } = {}
    const app = countingApp(exactlyOnce, {
      handler: (event) => {
        most = Math.max(most, looking.worker?.stats().changedRows.bytes ?? 0)
        for (let i = 0; i < 3 * ROWS; i++) addTo(counts, event, `${event.offset}/${event.partition}/${i}`)
      },
    })
    const { worker } = await runWorker(log, { ...app, tables: [counts] }, { clock: manualClock() })
    looking.worker = worker
    await until('all committed', () => committedSum(log) === 12)
    // Each event had to wait until the rows of the one before were stored.
    expect(most).toBe(0)
    await worker.stop()
    expect(new Set(log.records('counts-changelog').map(({ key }) => String(key))).size).toBe(12 * 3 * ROWS)
  })

  test(`${guarantee}: a rebalance and a stop complete with rows over their bound, and nothing is lost`, async () => {
    const log = await numbersLog(6000, 3000)
    const first = await runWorker(log, countingApp(exactlyOnce), { id: 'a', clock: manualClock() })
    await until('some commits', () => committedSum(log) > 500)
    const second = await runWorker(log, countingApp(exactlyOnce), { id: 'b', clock: manualClock() })
    await until('more commits', () => committedSum(log) > 3000)
    await first.worker.stop()
    await until('all but the rows that fit the bound', () => committedSum(log) > 6000 - ROWS)
    await second.worker.stop()
    expect(committedSum(log)).toBe(6000)
    const rows = new Map(log.records('counts-changelog').map(({ key, value }) => [String(key), Number(value)]))
    expect(rows.size).toBe(3000)
    for (const count of rows.values()) expect(count).toBe(2)
  })

  test(`${guarantee}: a slow store holds hand-out until it has the rows, and statistics say so`, async () => {
    const log = await numbersLog(0, 1)
    const app = countingApp(exactlyOnce)
    const gate: Deferred<void> = deferred<void>()
    const store = new SlowStore()
    const { worker } = await runWorker(log, app, { store, clock: manualClock() })
    store.free = gate.promise
    await new Outside(log).numbers('in', { count: 2000, partitions: PARTITIONS, keys: 2000 })
    await until('full', () => worker.stats().changedRows.full)
    const seen = app.seen()
    expect(worker.quiet()).toMatchObject({ idle: false })
    expect(worker.quiet().inFlight).toContain('changed rows that must be stored first')
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(app.seen()).toBe(seen)
    expect(seen).toBe(ROWS + 1)
    gate.resolve()
    await until('all handled', () => app.seen() === 2000)
    await worker.stop()
  })
}

test('exactly once: rows over the bound are stored although a slow instance holds back the position', async () => {
  const total = 6000
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', 1)
  await outside.send(Array.from({ length: total }, (_, i) => outgoing('in', 0, `k${i}`, String(i))))
  const counts = countTable('counts')
  const slow: Deferred<void> = deferred<void>()
  const { worker } = await runWorker(log, {
    agents: [
      {
        name: 'counter',
        topics: ['in'],
        instances: 2,
        handler: async (event: HandedOutEvent) => {
          if (event.offset === 0) await slow.promise
          addTo(counts, event, String(event.record.key))
        },
      },
    ],
    tables: [counts],
    // The other instance finishes so many events that the finished ranges do not fit a commit's metadata.
    settings: {
      exactlyOnce: true,
      commitIntervalMs: 3_600_000,
      cacheBytes: 2500 * COUNT_BYTES,
      maxBufferedEvents: 6000,
    },
  })
  await until('full', () => worker.stats().changedRows.full)
  expect(committedSum(log)).toBe(0)
  slow.resolve()
  await until('all handled', () => worker.stats().agents['counter']?.processed === total)
  await worker.stop()
  expect(new Set(log.records('counts-changelog').map(({ key }) => String(key))).size).toBe(total)
})

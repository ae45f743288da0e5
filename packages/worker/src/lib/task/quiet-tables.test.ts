import { manualClock } from '@millrace/core'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { outgoing, Outside, runWorker, silentLog, until } from '../fixtures/test-worker.fixture.ts'

const HOUR_MS = 3_600_000

test.each([false, true])(
  'the next worker does not recover a table from its beginning after days without a write, exactly once: %s',
  async (exactlyOnce) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    const store = new HeapStore()
    const clock = manualClock()
    const counts = countTable('counts')
    const warnings: string[] = []
    const app = {
      agents: [
        {
          name: 'a',
          topics: ['in'],
          handler: (event: Parameters<typeof addTo>[1]) => addTo(counts, event, 'all'),
        },
      ],
      tables: [counts],
      settings: { exactlyOnce },
    }
    const options = { clock, store, log: { ...silentLog, warn: (_: object, text: string) => void warnings.push(text) } }
    const first = await runWorker(log, app, options)
    const turn = async (): Promise<void> => {
      await clock.advance('1s')
      await new Promise((resolve) => void setImmediate(resolve))
    }
    await outside.send([outgoing('in', 0, 'k', '1')])
    for (let i = 0; i < 20; i++) await turn()
    await until('the row to be stored', () => store.partitions.get('counts/0')?.rows === 1)
    for (let quarter = 0; quarter < 4 * 48; quarter++) {
      await clock.advance('15m')
      await new Promise((resolve) => void setImmediate(resolve))
    }
    for (let i = 0; i < 20; i++) await turn()
    const { wallTimeMs = 0, offset } = store.checkpoint('counts', 0) ?? {}
    expect(offset).toBe(1)
    expect(clock.now() - wallTimeMs).toBeLessThan(HOUR_MS)
    first.kill()
    await store.close()
    // Two rows of another writer arrive meanwhile: with an old checkpoint one could have been a deletion.
    await outside.send(['x', 'y'].map((key) => outgoing('counts-changelog', 0, key, '1')))
    const second = await runWorker(log, app, { ...options, id: 'second' })
    expect(warnings.filter((text) => text.includes('rebuilt'))).toEqual([])
    expect(countsOf(second.worker.context.openStates(counts))).toEqual(
      new Map([
        ['all', 1],
        ['x', 1],
        ['y', 1],
      ]),
    )
    await second.worker.stop()
  },
)

test.each([false, true])(
  'a worker renews no checkpoint while it has no lease, exactly once: %s',
  async (exactlyOnce) => {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    await outside.send([outgoing('in', 0, 'k', '1')])
    const store = new HeapStore()
    const clock = manualClock()
    const counts = countTable('counts')
    const transports: LeasedTransport[] = []
    const { worker } = await runWorker(
      log,
      {
        agents: [{ name: 'a', topics: ['in'], handler: (event) => addTo(counts, event, 'all') }],
        tables: [counts],
        settings: { exactlyOnce, heartbeatIntervalMs: 60_000, sessionTimeoutMs: 180_000 },
      },
      {
        clock,
        store,
        wrap: (inner) => {
          const leased = new LeasedTransport(inner, () => clock.monotonic())
          transports.push(leased)
          return leased
        },
      },
    )
    const pass = async (steps: number, step: '1s' | '15m'): Promise<void> => {
      for (let i = 0; i < steps; i++) {
        await clock.advance(step)
        await new Promise((resolve) => void setImmediate(resolve))
      }
    }
    await pass(20, '1s')
    await until('the row to be stored', () => store.partitions.get('counts/0')?.rows === 1)
    transports[0]?.stopHeartbeats()
    const stored = store.checkpoint('counts', 0)
    await pass(8, '15m')
    expect(store.checkpoint('counts', 0)).toEqual(stored)
    transports[0]?.goOn()
    await pass(8, '15m')
    await pass(20, '1s')
    expect(clock.now() - (store.checkpoint('counts', 0)?.wallTimeMs ?? 0)).toBeLessThan(HOUR_MS)
    await worker.stop()
  },
)

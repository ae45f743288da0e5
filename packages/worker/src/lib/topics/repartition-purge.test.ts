import { manualClock, type ManualClock, MillraceError, systemClock } from '@millrace/core'
import type { Admin } from '@millrace/core/driver'
import { createMemoryLog, createMemoryTransport, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { Outside, silentLog, testSettings } from '../fixtures/test-worker.fixture.ts'
import { RepartitionPurge } from './repartition-purge.ts'

interface World {
  readonly log: MemoryLog
  readonly clock: ManualClock
  readonly admin: Admin
  readonly source: { readonly topic: 't'; readonly partition: 0; committed: number | undefined }
  readonly warnings: string[]
  /** Offsets of the requests that went out. */
  readonly asked: number[]
  /** The error with which the next requests fail. */
  trouble: Error | undefined
  leased: boolean
  readonly purge: RepartitionPurge
  offsets(): readonly number[]
}

/** Ten records in one partition, and a purge every 30 s. */
async function world(intervalMs = 30_000): Promise<World> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('t', 1)
  await outside.numbers('t', { count: 10, partitions: 1 })
  const clock = manualClock()
  const transport = createMemoryTransport(log, { clock: systemClock(), log: silentLog })
  await transport.connect({ timeoutMs: 1000 })
  const admin = transport.admin()
  const warnings: string[] = []
  const asked: number[] = []
  const source: World['source'] = { topic: 't', partition: 0, committed: undefined }
  const purge: RepartitionPurge = new RepartitionPurge(
    {
      clock,
      log: { ...silentLog, warn: (_fields, message) => void warnings.push(message) },
      settings: { ...testSettings, repartitionPurgeIntervalMs: intervalMs },
    },
    {
      check: () => {
        if (!made.leased) throw new MillraceError('LEASE_EXPIRED', 'No heartbeat.')
      },
    },
    {
      sources: () => [source],
      admin: {
        deleteRecords: async (before, options) => {
          asked.push(...before.map(({ offset }) => offset))
          if (made.trouble !== undefined) throw made.trouble
          await admin.deleteRecords(before, options)
        },
      },
    },
  )
  const offsets = (): readonly number[] => log.records('t').map(({ offset }) => offset)
  const made: World = { log, clock, admin, source, warnings, asked, trouble: undefined, leased: true, purge, offsets }
  return made
}

test('committed records are deleted once, after an interval, and without commits there is no timer', async () => {
  const { clock, source, purge, offsets, asked } = await world()
  purge.start()
  expect(clock.pending()).toBe(0)
  source.committed = 4
  purge.start()
  await clock.advance(29_999)
  expect(offsets()).toHaveLength(10)
  // Records that are committed meanwhile are deleted too.
  source.committed = 6
  purge.start()
  await clock.advance(1)
  expect(offsets()).toEqual([6, 7, 8, 9])
  purge.start()
  await clock.advance('10m')
  expect([asked, clock.pending()]).toEqual([[6], 0])
  source.committed = 10
  purge.start()
  await clock.advance('30s')
  expect(offsets()).toEqual([])
  source.committed = 11
  purge.start()
  purge.close()
  await clock.advance('10m')
  expect(asked).toEqual([6, 10])
})

test('an interval of 0 keeps everything', async () => {
  const { clock, source, purge, asked } = await world(0)
  source.committed = 10
  purge.start()
  await clock.advance('1d')
  expect(asked).toEqual([])
})

test('a failed purge is retried each interval, and logged each hour', async () => {
  const made = await world()
  const { clock, source, purge, warnings, asked, offsets } = made
  made.trouble = new MillraceError('NOT_AUTHORIZED', 'Records of t/0 could not be deleted.')
  source.committed = 5
  purge.start()
  await clock.advance('59m')
  expect([asked.length, warnings]).toEqual([
    118,
    [expect.stringMatching(/Records of t that were read .*Grant the app the right Delete/)],
  ])
  await clock.advance('2m')
  expect(warnings).toHaveLength(2)
  made.trouble = undefined
  await clock.advance('30s')
  expect(offsets()).toEqual([5, 6, 7, 8, 9])
  // The next failure is a different one.
  made.trouble = new Error('something else')
  source.committed = 6
  purge.start()
  await clock.advance('30s')
  expect(warnings).toEqual([expect.anything(), expect.anything(), expect.not.stringContaining('Allow')])
})

test('without a lease nothing is deleted, and no failure is logged', async () => {
  const made = await world()
  const { clock, source, purge, warnings, offsets } = made
  made.leased = false
  source.committed = 5
  purge.start()
  await clock.advance('2m')
  expect([offsets().length, warnings]).toEqual([10, []])
  made.leased = true
  await clock.advance('30s')
  expect(offsets()).toHaveLength(5)
})

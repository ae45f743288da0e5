import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { NO_HEADERS, systemClock, type Logger, type OutgoingRecord, type RawRecord } from '@millrace/core'
import { LmdbBackend } from '../durable/lmdb-backend.ts'
import { compactPartition } from './compact-partition.ts'
import { expireRecords } from './housekeeper.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const directories: string[] = []
const noPause = async (): Promise<void> => {}

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

interface Opened {
  readonly backend: LmdbBackend
  readonly time: { now: number }
  append(records: readonly (readonly [key: string, value: string | null])[]): Promise<void>
  /** As `append`, each record in a row of its own. */
  appendRows(records: readonly (readonly [key: string, value: string | null])[]): Promise<void>
  read(from: number): readonly RawRecord[]
  deleteBefore(offset: number): Promise<number | undefined>
}

const AT = { topic: 't', partition: 0 }

async function openLog(config: Readonly<Record<string, string>>): Promise<Opened> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-maintenance-'))
  directories.push(directory)
  const time = { now: 1_700_000_000_000 }
  const clock = { ...systemClock(), now: () => time.now }
  const backend = new LmdbBackend({ directory, durability: 'process' }, { clock, log: silent })
  await backend.open(1000)
  await backend.write('quiet', (contents) => contents.putTopic({ name: 't', id: 'id', partitions: 1, config }))
  return {
    backend,
    time,
    append: async (pairs) => {
      await backend.write('quiet', (contents) => {
        const topic = contents.topic('t')
        if (topic !== undefined) contents.append(topic, 0, pairs.map(record))
      })
    },
    appendRows: async (pairs) => {
      await backend.write('quiet', (contents) => {
        const topic = contents.topic('t')
        if (topic !== undefined) for (const pair of pairs) contents.append(topic, 0, [record(pair)])
      })
    },
    deleteBefore: (offset) =>
      backend.write('quiet', (contents) => {
        const topic = contents.topic('t')
        return topic === undefined ? undefined : contents.deleteBefore(topic, 0, offset)
      }),
    read: (from) =>
      backend.read((contents) => {
        const topic = contents.topic('t')
        if (topic === undefined) return []
        const { end } = contents.bounds(topic, 0)
        const records: RawRecord[] = []
        for (let offset = from; offset < end;) {
          const slice = contents.slice(topic, { partition: 0, offset }, { maxBytes: 50, maxRecords: 5 })
          expect(slice.nextOffset).toBeGreaterThan(offset)
          records.push(...slice.records)
          offset = slice.nextOffset
        }
        return records
      }),
  }
}

const record = ([key, value]: readonly [key: string, value: string | null]): OutgoingRecord => ({
  ...AT,
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
  headers: NO_HEADERS,
  timestamp: 1,
})

const dump = (records: readonly RawRecord[]): readonly (readonly [number, string, string | null])[] =>
  records.map(({ offset, key, value }) => [offset, key?.toString() ?? '', value?.toString() ?? null] as const)

describe('compaction', () => {
  it('keeps the last record of each key at its offset, from every position, however often it runs and whatever is deleted', async () => {
    const row = fc.tuple(
      fc.constantFrom('a', 'b', 'c', 'dd'),
      fc.option(fc.constantFrom('1', '22', '333'), { nil: null }),
    )
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.array(row, { minLength: 1, maxLength: 12 }) },
      { weight: 2, arbitrary: fc.constant('compact' as const) },
      { weight: 1, arbitrary: fc.record({ deleteShare: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const log = await openLog({ 'cleanup.policy': 'compact' })
        const all: (readonly [number, string, string | null])[] = []
        let start = 0
        try {
          for (const each of steps) {
            if (each === 'compact')
              await compactPartition(log.backend, AT, { now: log.time.now, force: true, pause: noPause })
            else if ('deleteShare' in each) {
              start = Math.max(start, Math.round(each.deleteShare * all.length))
              expect(await log.deleteBefore(start)).toBe(start)
            } else {
              await log.append(each)
              for (const [key, value] of each) all.push([all.length, key, value])
            }
          }
          await compactPartition(log.backend, AT, { now: log.time.now, force: true, pause: noPause })
          const wanted = all.filter(([offset, key]) => !all.some(([later, other]) => other === key && later > offset))
          for (let from = start; from <= all.length; from++) {
            expect(dump(log.read(from))).toEqual(wanted.filter(([offset]) => offset >= from))
          }
        } finally {
          await log.backend.close()
        }
      }),
      { numRuns: 40 },
    )
  })

  it('drops a tombstone after delete.retention.ms, and only once an earlier pass has seen it', async () => {
    const log = await openLog({ 'cleanup.policy': 'compact', 'delete.retention.ms': '1000' })
    const compact = (): Promise<void> =>
      compactPartition(log.backend, AT, { now: log.time.now, force: true, pause: noPause })
    await log.append([
      ['a', '1'],
      ['a', null],
      ['b', '1'],
    ])
    log.time.now += 5000
    await compact()
    expect(dump(log.read(0))).toEqual([
      [1, 'a', null],
      [2, 'b', '1'],
    ])
    await log.append([['c', '1']])
    await compact()
    expect(dump(log.read(0))).toEqual([
      [2, 'b', '1'],
      [3, 'c', '1'],
    ])
    await log.backend.close()
  })

  it('by several processes at once, while records come and go, loses nothing and reports no damage', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 0, max: 900 }), async (scheduler, deleted) => {
        const log = await openLog({ 'cleanup.policy': 'compact' })
        const all = Array.from({ length: 900 }, (_, n) => [`key ${n % 7}`, String(n)] as const)
        const pause = (): Promise<void> => scheduler.schedule(Promise.resolve())
        const compact = (): Promise<void> =>
          compactPartition(log.backend, AT, { now: log.time.now, force: true, pause })
        try {
          // A row each: more than one step has room for.
          await log.appendRows(all.slice(0, 600))
          const goesOn = async (): Promise<void> => {
            await pause()
            await log.appendRows(all.slice(600))
            await pause()
            await log.deleteBefore(deleted)
          }
          const over = Promise.all([compact(), compact(), goesOn().then(compact)])
          await scheduler.waitFor(over)
          await compactPartition(log.backend, AT, { now: log.time.now, force: true, pause: noPause })
          let start = deleted
          await log.deleteBefore(deleted).then((now) => (start = now ?? 0))
          expect(dump(log.read(start))).toEqual(
            all.flatMap(([key, value], n) => (n >= Math.max(893, start) ? [[n, key, value]] : [])),
          )
        } finally {
          await log.backend.close()
        }
      }),
      { numRuns: 15 },
    )
  })

  it('ends silently if its topic is deleted meanwhile, at any step', async () => {
    for (let step = 1; step <= 5; step++) {
      const log = await openLog({ 'cleanup.policy': 'compact' })
      await log.appendRows(Array.from({ length: 600 }, (_, n) => [`key ${n % 7}`, 'x'.repeat(4000)] as const))
      let steps = 0
      const pause = async (): Promise<void> => {
        if (++steps !== step) return
        await log.backend.write('quiet', (contents) => {
          const topic = contents.topic('t')
          if (topic !== undefined) contents.dropTopic(topic)
        })
      }
      await compactPartition(log.backend, AT, { now: log.time.now, force: true, pause })
      expect(steps).toBe(step)
      await log.backend.close()
    }
  })

  it('leaves few rows behind many small appends', async () => {
    const log = await openLog({ 'cleanup.policy': 'compact' })
    for (let round = 0; round < 600; round++) await log.append([[`key ${round % 3}`, String(round)]])
    await compactPartition(log.backend, AT, { now: log.time.now, force: true, pause: noPause })
    const rows = log.backend.read((contents) => {
      const topic = contents.topic('t')
      let count = 0
      for (let base = 0; topic !== undefined && base < contents.bounds(topic, 0).end; count++)
        base += contents.frame(topic, 0, base).span
      return count
    })
    expect(rows).toBeLessThan(5)
    expect(dump(log.read(17))).toEqual([
      [597, 'key 0', '597'],
      [598, 'key 1', '598'],
      [599, 'key 2', '599'],
    ])
    await log.backend.close()
  })
})

describe('retention', () => {
  it('deletes records appended longer ago than retention.ms, and moves the beginning', async () => {
    const log = await openLog({ 'retention.ms': '1000' })
    for (let round = 0; round < 400; round++) await log.append([['k', `old ${round}`]])
    log.time.now += 2000
    await log.append([['k', 'new']])
    await expireRecords(log.backend, AT, { now: log.time.now, pause: noPause })
    expect(log.backend.read((contents) => contents.bounds(contents.topics()[0] ?? never(), 0))).toEqual({
      start: 400,
      end: 401,
    })
    expect(dump(log.read(400))).toEqual([[400, 'k', 'new']])
    log.time.now += 2000
    await expireRecords(log.backend, AT, { now: log.time.now, pause: noPause })
    expect(log.backend.read((contents) => contents.bounds(contents.topics()[0] ?? never(), 0))).toEqual({
      start: 401,
      end: 401,
    })
    await log.append([['k', 'again']])
    expect(dump(log.read(401))).toEqual([[401, 'k', 'again']])
    await log.backend.close()
  })
})

function never(): never {
  throw new Error('The topic is gone.')
}

import { type Clock, deferred, type OutgoingRecord, ROW_FORMAT_HEADER, systemClock } from '@millrace/core'
import type { PartitionOffsets, StoreChange, StorePartition } from '@millrace/core/driver'
import {
  createMemoryLog,
  createMemoryTransport,
  type MemoryLog,
  type MemoryTransport,
} from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Outside, outgoing, silentLog, until } from '../fixtures/test-worker.fixture.ts'
import { Recovery } from './recovery.ts'
import { TaskStores } from './task-stores.ts'

const clock = systemClock()
const counts = countTable('t')

/** Holds commits while a test says so. */
class HeldStore extends HeapStore {
  #going: Promise<void> = Promise.resolve()

  hold(): () => void {
    const { promise, resolve } = deferred<void>()
    this.#going = promise
    return () => resolve()
  }

  override async commit(changes: readonly StoreChange[]): Promise<void> {
    await this.#going
    await super.commit(changes)
  }
}

interface Setting {
  readonly log: MemoryLog
  readonly outside: Outside
  readonly transport: MemoryTransport
  readonly store: HeldStore
  readonly stores: TaskStores
  readonly recovery: Recovery
  readonly progress: number[]
  readonly warnings: string[]
}

async function setting(monotonic: Clock['monotonic'] = () => clock.monotonic()): Promise<Setting> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('t-changelog', 4)
  const transport = createMemoryTransport(log, { clock, log: silentLog })
  const store = new HeldStore()
  const progress: number[] = []
  const warnings: string[] = []
  const stores = new TaskStores(store)
  const recovery = new Recovery({
    stores,
    topics: { changelogId: () => 'id', changelogConfig: () => ({}) },
    reader: () => transport.reader({ isolation: 'read-committed' }),
    clock: { ...clock, monotonic },
    log: { ...silentLog, warn: (_fields, message) => void warnings.push(message) },
    sensor: { recoveryProgress: ({ remainingRows }) => void progress.push(remainingRows) },
    fail: (error) => {
      throw error
    },
  })
  return { log, outside, transport, store, stores, recovery, progress, warnings }
}

async function bounds({ transport }: Setting, partition: number): Promise<PartitionOffsets> {
  const [found] = await transport.admin().offsets([{ topic: 't-changelog', partition }], 'read-uncommitted')
  return found ?? { topic: 't-changelog', partition, beginning: 0, end: 0 }
}

async function restore(
  here: Setting,
  partition: number,
  { signal = new AbortController().signal, upTo = bounds(here, partition) }: Restoring = {},
): Promise<StorePartition> {
  return here.recovery.restore({ definition: counts, partition }, await upTo, signal)
}

interface Restoring {
  readonly signal?: AbortSignal
  readonly upTo?: Promise<PartitionOffsets>
}

test('recovers several partitions at once in large commits, and later rows and deletions win', async () => {
  const here = await setting()
  const rows = 60_000
  for (let first = 0; first < rows; first += 10_000)
    await here.outside.send(
      Array.from({ length: 10_000 }, (_, i) =>
        outgoing('t-changelog', i % 4, `k${(first + i) % 20_000}`, String(first + i)),
      ),
    )
  await here.outside.send([{ ...outgoing('t-changelog', 0, 'k0', ''), value: null }])
  const stores = await Promise.all([0, 1, 2, 3].map((partition) => restore(here, partition)))
  expect(stores.map((store) => store.rows)).toEqual([4999, 5000, 5000, 5000])
  expect(stores[0]?.get(Buffer.from('k4'))?.toString()).toBe('40004')
  expect(stores[0]?.get(Buffer.from('k0'))).toBeUndefined()
  expect(stores[0]?.checkpoint()).toMatchObject({ topicId: 'id', offset: 15_001 })
  expect(here.store.commits).toBeLessThan(12)
  expect(here.progress.at(-1)).toBe(0)
  expect(here.recovery.stats('t', true)).toMatchObject({ state: 'done', restoredRows: 60_001, remainingRows: 0 })
  await here.recovery.close()
})

test('recovery of empty, compacted and already recovered changelogs ends', async () => {
  const here = await setting()
  await restore(here, 0)
  await here.outside.send(['a', 'b', 'a', 'b'].map((key, i) => outgoing('t-changelog', 1, key, String(i))))
  await here.outside.send([{ ...outgoing('t-changelog', 1, 'b', ''), value: null }])
  here.log.compact('t-changelog', { dropTombstones: true })
  const compacted = await restore(here, 1)
  expect(compacted.rows).toBe(1)
  expect(compacted.checkpoint()?.offset).toBe(5)
  await here.stores.close(compacted)
  expect((await restore(here, 1)).rows).toBe(1)
  await here.recovery.close()
})

test('a task that is lost during recovery closes its store, and the others continue', async () => {
  const here = await setting()
  await here.outside.send(Array.from({ length: 20_000 }, (_, i) => outgoing('t-changelog', i % 2, `k${i}`, '1')))
  const lost = new AbortController()
  const go = here.store.hold()
  const gone = restore(here, 0, { signal: lost.signal })
  const done = restore(here, 1)
  await until('both partitions to be in recovery', () => here.recovery.active === 2)
  lost.abort(new Error('lost'))
  go()
  await expect(gone).rejects.toThrow('lost')
  expect((await done).rows).toBe(10_000)
  expect(here.recovery.active).toBe(0)
  expect(here.store.partitions.get('t/0')?.isOpen).toBe(false)
  await here.recovery.close()
})

test('a task that is lost before it gets its store does not keep it', async () => {
  const here = await setting()
  const held = await here.stores.open('t', 0)
  const lost = new AbortController()
  const gone = restore(here, 0, { signal: lost.signal })
  lost.abort(new Error('lost'))
  await here.stores.close(held)
  await expect(gone).rejects.toThrow('lost')
  expect(here.store.partitions.get('t/0')?.isOpen).toBe(false)
  await here.recovery.close()
})

test('continues at the checkpoint of a store', async () => {
  const here = await setting()
  await here.outside.send(Array.from({ length: 10 }, (_, i) => outgoing('t-changelog', 0, `k${i}`, '1')))
  await here.stores.close(await restore(here, 0))
  await here.outside.send([outgoing('t-changelog', 0, 'new', '2')])
  expect((await restore(here, 0)).rows).toBe(11)
  expect(here.recovery.stats('t', true).restoredRows).toBe(11)
  await here.recovery.close()
})

test('ends at the requested offset, whatever is written after it, and continues from there', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'a', '1')])
  const upTo = bounds(here, 0)
  await upTo
  await here.outside.send([outgoing('t-changelog', 0, 'b', '2')])
  const first = await restore(here, 0, { upTo })
  expect([first.checkpoint()?.offset, first.rows]).toEqual([1, 1])
  await here.stores.close(first)
  const second = await restore(here, 0)
  expect(second.get(Buffer.from('b'))?.toString()).toBe('2')
  expect(second.checkpoint()?.offset).toBe(2)
  await here.recovery.close()
})

test('the checkpoint of a complete store gets the current time, even if there is nothing to read', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'k', '1')])
  const partition = await restore(here, 0)
  const checkpoint = partition.checkpoint()
  if (checkpoint === undefined) throw new Error('It has no checkpoint.')
  await here.stores.commit([{ partition, rows: [], checkpoint: { ...checkpoint, wallTimeMs: 5 } }])
  await here.stores.close(partition)
  const again = await restore(here, 0)
  expect(again.checkpoint()?.wallTimeMs).toBeGreaterThanOrEqual(checkpoint.wallTimeMs)
  expect([again.checkpoint()?.offset, again.rows]).toEqual([1, 1])
  await here.recovery.close()
})

test('a store that had to drop its rows logs it once, and reads them again', async () => {
  const here = await setting()
  await here.outside.send(Array.from({ length: 10 }, (_, i) => outgoing('t-changelog', 0, `k${i}`, '1')))
  const damaged = await here.stores.open('t', 0)
  Object.assign(damaged, { damage: 'a row is damaged' })
  await here.stores.close(damaged)
  const rebuilt = await restore(here, 0)
  expect(rebuilt.rows).toBe(10)
  await here.stores.close(rebuilt)
  await restore(here, 0)
  expect(here.warnings).toEqual(['Partition 0 of t is rebuilt from its changelog: a row is damaged.'])
  await here.recovery.close()
})

test('the row rate counts time once for concurrent recoveries, and no time without one', async () => {
  let now = 0
  const here = await setting(() => now)
  await here.outside.send(Array.from({ length: 1000 }, (_, i) => outgoing('t-changelog', i % 4, `k${i}`, '1')))
  const go = here.store.hold()
  const restored = Promise.all([0, 1, 2, 3].map((partition) => restore(here, partition)))
  await until('all partitions to be in recovery', () => here.recovery.active === 4)
  now = 500
  expect(here.recovery.stats('t', false).state).toBe('recovering')
  go()
  await restored
  now = 60_000
  expect(here.recovery.stats('t', true)).toEqual({
    state: 'done',
    restoredRows: 1000,
    remainingRows: 0,
    rowsPerSecond: 2000,
  })
  await here.recovery.close()
})

test('a row of a later format stops the recovery with its position, and the store gets nothing from it on', async () => {
  const here = await setting()
  const row = outgoing('t-changelog', 0, 'k', '1')
  const format = (version: string): OutgoingRecord['headers'] => [[ROW_FORMAT_HEADER, Buffer.from(version)]]
  await here.outside.send([row, { ...row, headers: [['of', Buffer.from('others')]] }, { ...row, headers: format('1') }])
  expect((await restore(here, 0)).rows).toBe(1)
  await here.outside.send([
    { ...row, partition: 1 },
    { ...row, partition: 1, headers: format('2') },
  ])
  await expect(restore(here, 1)).rejects.toMatchObject({
    code: 'FORMAT_NEWER',
    message: expect.stringContaining('The row at offset 1 of t-changelog/1 has format 2'),
  })
  expect(here.stores.checkpoint('t', 1)).toBeUndefined()
})

test('an old store is rebuilt if a gap found during reading shows compaction, and keeps no deleted key', async () => {
  const here = await setting()
  const unique = (from: number, count: number): OutgoingRecord[] =>
    Array.from({ length: count }, (_, i) => ({
      ...outgoing('t-changelog', 0, `k${from + i}`, '1'),
      timestamp: clock.now(),
    }))
  await here.outside.send(unique(0, 50))
  const before = await restore(here, 0)
  const checkpoint = { topicId: 'id', offset: 50, wallTimeMs: clock.now() - 5 * 86_400_000 }
  await here.stores.commit([{ partition: before, rows: [], checkpoint }])
  await here.stores.close(before)
  await here.outside.send(unique(50, 3000))
  const beforeGap = await restore(here, 0)
  // Nothing was compacted away yet, so it continues in spite of its age.
  expect([beforeGap.rows, here.warnings]).toEqual([3050, []])
  await here.stores.commit([{ partition: beforeGap, rows: [], checkpoint }])
  await here.stores.close(beforeGap)

  await here.outside.send([
    { ...outgoing('t-changelog', 0, 'k7', ''), timestamp: clock.now(), value: null },
    ...unique(4000, 3000),
  ])
  here.log.compact('t-changelog', { dropTombstones: true })
  const after = await restore(here, 0)
  expect([after.rows, after.get(Buffer.from('k7')), after.get(Buffer.from('k6'))?.toString()]).toEqual([
    6049,
    undefined,
    '1',
  ])
  expect(after.checkpoint()?.offset).toBe(6051)
  expect(here.warnings).toEqual([
    'Partition 0 of t is rebuilt from its changelog: the store is so old that deletions may be gone from the changelog.',
  ])
  await here.recovery.close()
})

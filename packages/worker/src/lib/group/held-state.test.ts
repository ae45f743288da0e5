import { manualClock } from '@millrace/core'
import type { Checkpoint } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Recovery } from '../restore/recovery.ts'
import { silentLog } from '../fixtures/test-worker.fixture.ts'
import { stateHere } from './held-state.ts'
import { TaskStores } from '../restore/task-stores.ts'

const HOUR_MS = 60 * 60 * 1000
const clock = manualClock()
const [counts, sums] = [countTable('counts'), countTable('sums')]

/**
 * The held state, if the store has this of the two tables in partition 0, open when `isOpen`, and this much is left to
 * read of one of them.
 */
async function held(
  checkpoints: readonly (Partial<Checkpoint> | undefined)[],
  {
    isOpen = false,
    remaining = 0,
    inUseOnly = false,
  }: { readonly isOpen?: boolean; readonly remaining?: number; readonly inUseOnly?: boolean } = {},
): Promise<number | undefined> {
  const stores = new TaskStores(new HeapStore())
  for (const [i, part] of [counts, sums].entries()) {
    const at = checkpoints[i]
    if (at === undefined) continue
    const partition = await stores.open(part.name, 0)
    const checkpoint = { topicId: 'id', offset: 0, wallTimeMs: clock.now(), ...at }
    await stores.commit([{ partition, rows: [], checkpoint }])
    if (!isOpen) await stores.close(partition)
  }
  const recovery = new Recovery({
    stores,
    topics: { changelogId: () => 'id', changelogConfig: () => ({ 'delete.retention.ms': String(24 * HOUR_MS) }) },
    reader: () => expect.unreachable('Nothing is read.'),
    clock,
    log: silentLog,
    sensor: { recoveryProgress: () => {} },
    fail: (error) => expect.unreachable(error.message),
  })
  const found = stateHere(
    {
      groups: new Map([
        [1, { topics: ['in'], parts: ['counts', 'sums'] }],
        [4, { topics: ['other'], parts: [] }],
      ]),
      statesWith: (partitions) => (partitions === 1 ? [counts, sums] : []),
    },
    {
      absorbed: (place, inUse) => recovery.absorbed(place, inUse),
      remaining: ({ topic }) => (topic === sums.changelog.topic ? remaining : 0),
    },
    { acceptableLag: 10, inUseOnly },
  )
  expect([...found.keys()].every((task) => task === '1-0')).toBe(true)
  return found.get('1-0')
}

test('is the sum over the tables of a task, whether open or only on disk', async () => {
  expect(await held([])).toBeUndefined()
  expect(await held([{ offset: 5 }, { offset: 7 }])).toBe(12)
  expect(await held([{ offset: 5 }, { offset: 7 }], { isOpen: true })).toBe(12)
  expect(await held([{ offset: 5 }])).toBe(5)
  expect(await held([{ offset: 5 }], { inUseOnly: true })).toBeUndefined()
  expect(await held([{ offset: 5 }], { inUseOnly: true, isOpen: true })).toBe(5)
})

test('rows that cannot be used are not counted: those of a recreated changelog, or too old ones', async () => {
  expect(await held([{ offset: 5, topicId: 'another' }, { offset: 7 }])).toBe(7)
  const wallTimeMs = clock.now() - 13 * HOUR_MS
  expect(await held([{ offset: 5, wallTimeMs }])).toBeUndefined()
  // An open store is at the end of its changelog, to which nothing may have been written for long.
  expect(await held([{ offset: 5, wallTimeMs }], { isOpen: true })).toBe(5)
})

test('a task with much left to recover counts as having no state', async () => {
  expect(await held([{ offset: 5 }, { offset: 7 }], { isOpen: true, remaining: 10 })).toBe(12)
  expect(await held([{ offset: 5 }, { offset: 7 }], { isOpen: true, remaining: 11 })).toBeUndefined()
})

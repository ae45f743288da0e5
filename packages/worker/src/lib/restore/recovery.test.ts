import { systemClock, type TopicPartition } from '@millrace/core'
import {
  createMemoryLog,
  createMemoryTransport,
  type MemoryLog,
  type MemoryTransport,
} from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Outside, outgoing, silentLog } from '../fixtures/test-worker.fixture.ts'
import { Recovery, type RestoreRequest } from './recovery.ts'
import { TaskStores } from './task-stores.ts'

const clock = systemClock()

interface Setting {
  readonly log: MemoryLog
  readonly outside: Outside
  readonly transport: MemoryTransport
  readonly store: HeapStore
  readonly recovery: Recovery
  readonly progress: number[]
  readonly warnings: string[]
}

async function setting(): Promise<Setting> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('t-changelog', 4)
  const transport = createMemoryTransport(log, { clock, log: silentLog })
  const store = new HeapStore()
  const progress: number[] = []
  const warnings: string[] = []
  const recovery = new Recovery({
    stores: new TaskStores(store),
    reader: () => transport.reader({ isolation: 'read-committed' }),
    offsets: (partitions) => transport.admin().offsets(partitions, 'read-uncommitted'),
    clock,
    log: { ...silentLog, warn: (_fields, message) => void warnings.push(message) },
    sensor: { recoveryProgress: ({ remainingRows }) => void progress.push(remainingRows) },
    onBroken: (error) => {
      throw error
    },
  })
  return { log, outside, transport, store, recovery, progress, warnings }
}

async function request(
  { recovery, store }: Setting,
  partition: number,
  signal = new AbortController().signal,
): Promise<RestoreRequest> {
  const changelog: TopicPartition = { topic: 't-changelog', partition }
  const [bounds] = [...(await recovery.offsets([changelog])).values()]
  return {
    part: 't',
    changelog,
    state: { topicId: 'id', beginning: bounds?.beginning ?? 0, end: bounds?.end ?? 0, config: {} },
    store: await store.open('t', partition),
    signal,
  }
}

test('several partitions at once, later rows and deletions win, large commits', async () => {
  const here = await setting()
  const rows = 60_000
  for (let first = 0; first < rows; first += 10_000)
    await here.outside.send(
      Array.from({ length: 10_000 }, (_, i) =>
        outgoing('t-changelog', i % 4, `k${(first + i) % 20_000}`, String(first + i)),
      ),
    )
  await here.outside.send([{ ...outgoing('t-changelog', 0, 'k0', ''), value: null }])
  const requests = await Promise.all([0, 1, 2, 3].map((partition) => request(here, partition)))
  await Promise.all(requests.map((one) => here.recovery.restore(one)))
  expect(requests.map(({ store }) => store.rows)).toEqual([4999, 5000, 5000, 5000])
  expect(requests[0]?.store.get(Buffer.from('k4'))?.toString()).toBe('40004')
  expect(requests[0]?.store.get(Buffer.from('k0'))).toBeUndefined()
  expect(requests[0]?.store.checkpoint()).toMatchObject({ topicId: 'id', offset: 15_001 })
  expect(here.store.commits).toBeLessThan(12)
  expect(here.recovery.stats('t', true)).toMatchObject({ state: 'done', restoredRows: 60_001, remainingRows: 0 })
  await here.recovery.close()
})

test('empty, compacted and already recovered changelogs end too', async () => {
  const here = await setting()
  await here.recovery.restore(await request(here, 0))
  await here.outside.send(['a', 'b', 'a', 'b'].map((key, i) => outgoing('t-changelog', 1, key, String(i))))
  await here.outside.send([{ ...outgoing('t-changelog', 1, 'b', ''), value: null }])
  here.log.compact('t-changelog', { dropTombstones: true })
  const compacted = await request(here, 1)
  await here.recovery.restore(compacted)
  expect(compacted.store.rows).toBe(1)
  expect(compacted.store.checkpoint()?.offset).toBe(5)
  await compacted.store.close()
  const again = await request(here, 1)
  await here.recovery.restore(again)
  expect(again.store.rows).toBe(1)
  await here.recovery.close()
})

test('a task lost on the way gives up, and the others go on', async () => {
  const here = await setting()
  await here.outside.send(Array.from({ length: 20_000 }, (_, i) => outgoing('t-changelog', i % 2, `k${i}`, '1')))
  const lost = new AbortController()
  const [first, second] = [await request(here, 0, lost.signal), await request(here, 1)]
  const gone = here.recovery.restore(first)
  const done = here.recovery.restore(second)
  lost.abort(new Error('lost'))
  await expect(gone).rejects.toThrow('lost')
  await done
  expect(second.store.rows).toBe(10_000)
  expect(here.recovery.active).toBe(0)
  await here.recovery.close()
})

test('goes on from the checkpoint of a store', async () => {
  const here = await setting()
  await here.outside.send(Array.from({ length: 10 }, (_, i) => outgoing('t-changelog', 0, `k${i}`, '1')))
  const first = await request(here, 0)
  await here.recovery.restore(first)
  await first.store.close()
  await here.outside.send([outgoing('t-changelog', 0, 'new', '2')])
  const second = await request(here, 0)
  await here.recovery.restore(second)
  expect(second.store.rows).toBe(11)
  expect(here.recovery.stats('t', true).restoredRows).toBe(11)
  await here.recovery.close()
})

test('ends where it was asked to, whatever is written behind that meanwhile, and goes on from there', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'a', '1')])
  const first = await request(here, 0)
  await here.outside.send([outgoing('t-changelog', 0, 'b', '2')])
  await here.recovery.restore(first)
  expect([first.store.checkpoint()?.offset, first.store.rows]).toEqual([1, 1])
  await first.store.close()
  const second = await request(here, 0)
  await here.recovery.restore(second)
  expect(second.store.get(Buffer.from('b'))?.toString()).toBe('2')
  expect(second.store.checkpoint()?.offset).toBe(2)
  await here.recovery.close()
})

test('a store that has everything says as of when, though there is nothing to read', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'k', '1')])
  const first = await request(here, 0)
  await here.recovery.restore(first)
  const checkpoint = first.store.checkpoint()
  if (checkpoint === undefined) throw new Error('It has no checkpoint.')
  await here.store.commit([{ partition: first.store, rows: [], checkpoint: { ...checkpoint, wallTimeMs: 5 } }])
  await here.recovery.restore(first)
  expect(first.store.checkpoint()?.wallTimeMs).toBeGreaterThanOrEqual(checkpoint.wallTimeMs)
  expect([first.store.checkpoint()?.offset, first.store.rows]).toEqual([1, 1])
  await here.recovery.close()
})

test('what a store had to drop is said once, and is read again', async () => {
  const here = await setting()
  await here.outside.send(Array.from({ length: 10 }, (_, i) => outgoing('t-changelog', 0, `k${i}`, '1')))
  const damaged = await request(here, 0)
  const store = Object.assign(damaged.store, { damage: 'a row is damaged' })
  await here.recovery.restore({ ...damaged, store })
  expect(store.rows).toBe(10)
  await here.recovery.restore({ ...damaged, store })
  expect(here.warnings).toEqual(['Partition 0 of t is rebuilt from its changelog: a row is damaged.'])
  await here.recovery.close()
})

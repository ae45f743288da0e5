import { type Deferred, deferred } from '@millrace/core'
import type { StoreChange } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { TaskStores } from './task-stores.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a partition is opened for one user after another, in the order of their requests', async () => {
  const stores = new TaskStores(new HeapStore())
  const first = await stores.open('counts', 1)
  const opened: string[] = []
  const second = stores.open('counts', 1).then((store) => {
    opened.push('second')
    return store
  })
  const third = stores.open('counts', 1).then((store) => {
    opened.push('third')
    return store
  })
  await (await stores.open('counts', 2)).close()
  await turn()
  expect(opened).toEqual([])
  await stores.close(first)
  await stores.close(await second)
  await stores.close(await third)
  expect(opened).toEqual(['second', 'third'])
  await stores.shut()
})

test('a failed open delays no other user', async () => {
  const heap = new HeapStore()
  const outsider = await heap.open('counts', 1)
  const stores = new TaskStores(heap)
  await expect(stores.open('counts', 1)).rejects.toMatchObject({ code: 'STORE_IN_USE' })
  await outsider.close()
  await stores.close(await stores.open('counts', 1))
})

test('a store that is needed again is handed on open, and one that is not is closed', async () => {
  const heap = new HeapStore()
  const stores = new TaskStores(heap)
  await stores.want(new Set(['counts/1']))
  const first = await stores.open('counts', 1)
  await stores.close(first)
  expect(heap.partitions.get('counts/1')?.isOpen).toBe(true)
  expect(await stores.open('counts', 1)).toBe(first)
  await stores.close(first)
  const wanted = stores.want(new Set())
  const again = stores.open('counts', 1)
  await wanted
  await stores.close(await again)
  expect(heap.partitions.get('counts/1')?.isOpen).toBe(false)
})

test('the driver is closed after all partitions, including those that were kept for reuse', async () => {
  let leftOpen: readonly string[] | undefined
  class Watched extends HeapStore {
    override async close(): Promise<void> {
      leftOpen = [...this.partitions].flatMap(([name, { isOpen }]) => (isOpen ? [name] : []))
      await super.close()
    }
  }
  const stores = new TaskStores(new Watched())
  await stores.want(new Set(['counts/1']))
  await stores.close(await stores.open('counts', 1))
  await stores.shut()
  expect(leftOpen).toEqual([])
})

test('a partition is closed after the commit under way, which may still write to it', async () => {
  const gate: Deferred<void> = deferred<void>()
  class Slow extends HeapStore {
    override async commit(changes: readonly StoreChange[]): Promise<void> {
      await gate.promise
      await super.commit(changes)
    }
  }
  const heap = new Slow()
  const stores = new TaskStores(heap)
  const store = await stores.open('counts', 1)
  const row = { key: Buffer.from('k'), value: Buffer.from('1') }
  const committed = stores.commit([{ partition: store, rows: [row], checkpoint: undefined }])
  const closed = stores.close(store)
  await turn()
  expect(heap.partitions.get('counts/1')?.isOpen).toBe(true)
  gate.resolve()
  await Promise.all([committed, closed])
  expect(heap.partitions.get('counts/1')?.isOpen).toBe(false)
})

import { type Deferred, deferred } from '@millrace/core'
import type { StoreChange } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { TaskStores } from './task-stores.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a partition is opened again when those who asked before have closed it, in their order', async () => {
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

test('an open that fails holds up nobody', async () => {
  const heap = new HeapStore()
  const outsider = await heap.open('counts', 1)
  const stores = new TaskStores(heap)
  await expect(stores.open('counts', 1)).rejects.toMatchObject({ code: 'STORE_IN_USE' })
  await outsider.close()
  await stores.close(await stores.open('counts', 1))
})

test('what is wanted again is handed on open; what is wanted no more is closed', async () => {
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

test('the driver is closed when nothing is open any more, also not what was to be opened again', async () => {
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

test('a partition is closed when the commit under way is over, which may still write to it', async () => {
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

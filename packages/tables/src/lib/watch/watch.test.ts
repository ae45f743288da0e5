import { MillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import { createTable } from '../create-table.ts'
import { giveUp, TableWorld, type TableWorker } from '../fixtures/table-world.fixture.ts'
import { createSetTable } from '../set-table.ts'
import type { TableChange } from './watch-rows.ts'

/** Reads the next item under the clock of the test. */
function reader<T>({ engine }: TableWorker, items: AsyncGenerator<T>): () => Promise<T> {
  return async () => {
    const { done, value } = await engine.during(items.next())
    if (done === true) throw new Error('The watch is over.')
    return value
  }
}

async function counting() {
  const world = new TableWorld()
  const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number' })
  const worker = await world.start([counts], { partitions: 1 })
  /** An event that changes the table; it is finished, and not committed. */
  const write = async (change: () => void): Promise<void> => {
    const event = await worker.event()
    world.inAgent(event, change)
    event.finish()
  }
  return { world, counts, worker, write }
}

test('a watched key gives its committed value, and each one that a commit makes of it', async () => {
  const { counts, worker, write } = await counting()
  const next = reader(worker, counts.watch('milk'))
  expect(await next()).toBeUndefined()
  await write(() => counts.set('milk', 1))
  expect(await next()).toBe(1)
  await write(() => counts.set('milk', 2))
  await write(() => counts.set('bread', 7))
  expect(await next()).toBe(2)
  await write(() => counts.delete('milk'))
  expect(await next()).toBeUndefined()
})

test('nothing that is not committed is given, nor what a failed event has written', async () => {
  const { world, counts, worker, write } = await counting()
  await write(() => counts.set('milk', 1))
  await worker.commit()
  const next = reader(worker, counts.watch('milk'))
  expect(await next()).toBe(1)
  const failed = await worker.event()
  world.inAgent(failed, () => counts.set('milk', 13))
  giveUp(failed)
  const late = await worker.event()
  world.inAgent(late, () => counts.set('milk', 2))
  late.finish()
  expect(world.onWorker(worker, () => counts.get('milk'))).toBe(2)
  expect(world.onWorker(worker, () => counts.get('milk', { committed: true }))).toBe(1)
  const joining = counts.watch('milk')
  expect((await joining.next()).value).toBe(1)
  expect(await next()).toBe(2)
  await joining.return(undefined)
})

test('a slow reader gets the newest value only', async () => {
  const { counts, worker, write } = await counting()
  const next = reader(worker, counts.watch('milk'))
  await next()
  for (const n of [1, 2, 3]) {
    await write(() => counts.set('milk', n))
    await worker.commit()
  }
  expect(await next()).toBe(3)
})

test('a watch ends with its signal, and with the partition', async () => {
  const { counts, worker } = await counting()
  const stop = new AbortController()
  const stopped = counts.watch('milk', { signal: stop.signal })
  const lost = counts.watch('milk')
  const range = counts.watchRange({ prefix: 'm' })
  for (const each of [stopped, lost, range]) await each.next()
  await range.next()
  const ends = [stopped, lost, range].map((each) => each.next().then(String, (error: unknown) => error))
  stop.abort(new Error('enough'))
  expect(await ends[0]).toEqual(new Error('enough'))
  await worker.engine.stop()
  for (const end of ends.slice(1)) expect(await end).toMatchObject({ code: 'PARTITION_NOT_LOCAL' })
  expect(() => counts.watch('milk')).toThrow(MillraceError)
})

test('a watched range gives its rows, then changes, and all rows again to a reader that is far behind', async () => {
  const { counts, worker, write } = await counting()
  await write(() => ['ma', 'mb', 'n'].forEach((key, n) => counts.set(key, n)))
  await worker.commit()
  const next = reader<TableChange<string, number>>(worker, counts.watchRange({ prefix: 'm' }))
  const take = async (count: number): Promise<readonly TableChange<string, number>[]> => {
    const taken: TableChange<string, number>[] = []
    while (taken.length < count) taken.push(await next())
    return taken
  }
  const ready = { type: 'ready', at: expect.any(String) }
  const state = { type: 'state', at: expect.any(String) }
  const first = await take(4)
  expect(first).toEqual([state, { type: 'value', key: 'ma', value: 0 }, { type: 'value', key: 'mb', value: 1 }, ready])
  await write(() => {
    counts.delete('ma')
    counts.set('mb', 5)
    counts.set('n', 5)
  })
  const second = await take(3)
  expect(second).toEqual([{ type: 'delete', key: 'ma' }, { type: 'value', key: 'mb', value: 5 }, ready])
  expect(second.at(-1)).not.toEqual(first.at(-1))
  await write(() => {
    for (let n = 0; n <= 10_000; n++) counts.set(`m-${n}`, n)
  })
  await worker.commit()
  const again = await take(10_004)
  expect(again[0]).toEqual(state)
  expect(again.at(-1)).toEqual(ready)
  expect(again.filter(({ type }) => type === 'value')).toHaveLength(10_002)
})

test('elements of a set and windows of a key are watched as they are committed', async () => {
  const world = new TableWorld()
  const visitors = createSetTable(world.deps, 'visitors', { key: 'string', value: 'string' })
  const counts = createTable(world.deps, 'counts', { key: 'string', value: 'number', default: () => 0 })
  const minutes = counts.tumbling('1m', { grace: '1h' })
  const visits = counts.session('1m', { merge: (a, b) => a + b, grace: '1h' })
  const worker = await world.start([visitors, counts, minutes, visits], { partitions: 1 })
  const nextOf = {
    set: reader(worker, visitors.watch('a')),
    minutes: reader(worker, minutes.watch('a')),
    visits: reader(worker, visits.watch('a')),
  }
  for (const next of Object.values(nextOf)) expect(await next()).toEqual([])
  const event = await worker.event()
  const at = Math.floor(world.clock.now() / 60_000) * 60_000
  world.inAgent(event, () => {
    visitors.add('a', 'ann')
    visitors.add('ab', 'bob')
    minutes.update('a', (n) => n + 1, { at })
    minutes.update('a', (n) => n + 2, { at: at + 60_000 })
    visits.update('a', (n) => n + 1, { at })
  })
  event.finish()
  expect(world.onWorker(worker, () => visitors.values('a', { committed: true }))).toEqual([])
  expect(world.onWorker(worker, () => minutes.lookup('a', { committed: true }))).toBeUndefined()
  expect(await nextOf.set()).toEqual(['ann'])
  expect(await nextOf.minutes()).toEqual([
    { start: at, end: at + 60_000, value: 1 },
    { start: at + 60_000, end: at + 120_000, value: 2 },
  ])
  expect(await nextOf.visits()).toEqual([{ start: at, end: at, value: 1 }])
})

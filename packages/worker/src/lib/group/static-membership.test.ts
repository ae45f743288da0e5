import { endOfTurn } from '@millrace/core'
import { createMemoryLog, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countsOf, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Outside, runWorker, type TestApp, until } from '../fixtures/test-worker.fixture.ts'

const PARTITIONS = 4

function countingApp(topics: readonly string[] = ['in']): TestApp & { readonly counts: ReturnType<typeof countTable> } {
  const counts = countTable('counts')
  return {
    counts,
    tables: [counts],
    agents: [{ name: 'count', topics, handler: (event) => addTo(counts, event, String(event.record.key)) }],
  }
}

async function pair(): Promise<{ log: MemoryLog; outside: Outside }> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  return { log, outside }
}

const committed = (log: MemoryLog): number => log.committed('app').reduce((sum, { offset }) => sum + offset, 0)

test('a killed worker resumes its membership by the id in its store: without a rebalance, reading only the tail', async () => {
  const { log, outside } = await pair()
  const app = countingApp()
  const stores = [new HeapStore('one'), new HeapStore('two')] as const
  const first = await runWorker(log, app, { store: stores[0], address: 'http://one' })
  const second = await runWorker(log, app, { store: stores[1], address: 'http://two' })
  await until('each worker to have two tasks', () => first.worker.assignment().tasks.length === 2)
  await outside.numbers('in', { count: 4000, partitions: PARTITIONS, keys: 400 })
  await until('all committed', () => committed(log) === 4000)
  const before = second.worker.assignment()
  const rebalances = first.worker.stats().rebalances
  expect(before.memberId).toBe('two')

  second.kill()
  await stores[1].close()
  await outside.numbers('in', { first: 4000, count: 400, partitions: PARTITIONS, keys: 400 })
  const again = countingApp()
  const back = await runWorker(log, again, { store: stores[1], address: 'http://two' })
  await until('all committed', () => committed(log) === 4400)
  const after = back.worker.assignment()
  expect(after.memberId).toBe('two')
  expect(after.tasks.map(({ id }) => id).toSorted()).toEqual(before.tasks.map(({ id }) => id).toSorted())
  expect(after.group).toEqual(before.group)
  expect(first.worker.stats().rebalances).toBe(rebalances)
  expect(back.worker.stats().states['counts']?.recovery.restoredRows).toBeLessThan(400)
  for (const count of countsOf(back.worker.context.openStates(again.counts)).values()) expect(count).toBe(11)
  await Promise.all([first.worker.stop(), back.worker.stop()])
})

test('a changed web address reaches the group in one rebalance, and no task moves', async () => {
  const { log } = await pair()
  const stores = [new HeapStore('one'), new HeapStore('two')] as const
  const first = await runWorker(log, countingApp(), { store: stores[0], address: 'http://one' })
  const second = await runWorker(log, countingApp(), { store: stores[1], address: 'http://two' })
  await until('each worker to have two tasks', () => first.worker.assignment().tasks.length === 2)
  const before = first.worker.assignment().group
  const rebalances = first.worker.stats().rebalances
  second.kill()
  await stores[1].close()
  const back = await runWorker(log, countingApp(), { store: stores[1], address: 'http://two-again' })
  const addressOf = (member: string): string | undefined =>
    [...first.worker.assignment().group.values()].find((owner) => owner.member === member)?.address
  await until('the new address', () => addressOf('two') === 'http://two-again')
  expect(first.worker.stats().rebalances).toBe(rebalances + 1)
  const owners = (group: typeof before): unknown => [...group].map(([id, { member }]) => [id, member]).toSorted()
  expect(owners(first.worker.assignment().group)).toEqual(owners(before))
  await Promise.all([first.worker.stop(), back.worker.stop()])
})

test("a worker that returns with another version of the app runs that version's topics", async () => {
  const { log, outside } = await pair()
  await outside.topic('more', PARTITIONS)
  const store = new HeapStore('one')
  const first = await runWorker(log, countingApp(['in']), { store })
  first.kill()
  await store.close()
  const next = countingApp(['more'])
  const back = await runWorker(log, next, { store })
  await outside.numbers('more', { count: 100, partitions: PARTITIONS })
  await until('the new topic handled', () => back.worker.stats().agents['count']?.processed === 100)
  expect(back.worker.assignment().tasks.flatMap(({ sources }) => sources.map(({ topic }) => topic))).toEqual(
    Array.from({ length: PARTITIONS }, () => 'more'),
  )
  await back.worker.stop()
})

test('the group settles when a source topic gets more partitions, whoever leads it', async () => {
  const { log } = await pair()
  const first = await runWorker(log, countingApp(), { store: new HeapStore('one') })
  const second = await runWorker(log, countingApp(), { store: new HeapStore('two') })
  await until('each worker to have two tasks', () => first.worker.assignment().tasks.length === 2)
  log.addPartitions('in', 2 * PARTITIONS)
  const { generation } = log.group('app')
  await second.worker.stop()
  await until('a rebalance', () => log.group('app').generation > generation && log.group('app').phase === 'stable')
  // A member that asks for one rebalance after another would do so within a few turns of the event loop.
  for (let turn = 0; turn < 200; turn++) await endOfTurn()
  expect(log.group('app').generation).toBe(generation + 1)
  // Its tasks belong to a topic that no longer exists, which it finds out by itself a little later.
  expect(first.worker.assignment().tasks).toEqual([])
  await first.worker.stop()
})

test('a clean stop leaves the group, and the others take over at once', async () => {
  const { log } = await pair()
  const first = await runWorker(log, countingApp(), { store: new HeapStore('one') })
  const second = await runWorker(log, countingApp(), { store: new HeapStore('two') })
  await second.worker.stop()
  await until('all tasks', () => first.worker.assignment().tasks.length === PARTITIONS)
  await first.worker.stop()
})

test('with leaveOnStop off a stopped worker keeps its membership, and after a timely return nothing moves or is repeated', async () => {
  const { log, outside } = await pair()
  const settings = { leaveOnStop: false }
  const stores = [new HeapStore('one'), new HeapStore('two')] as const
  const first = await runWorker(log, { ...countingApp(), settings }, { store: stores[0], address: 'http://one' })
  const second = await runWorker(log, { ...countingApp(), settings }, { store: stores[1], address: 'http://two' })
  await until('each worker to have two tasks', () => first.worker.assignment().tasks.length === 2)
  await outside.numbers('in', { count: 400, partitions: PARTITIONS, keys: 40 })
  await until('all committed', () => committed(log) === 400)
  const { rebalances } = first.worker.stats()
  const before = second.worker.assignment().tasks.map(({ id }) => id)
  await second.worker.stop()
  await stores[1].close()
  await outside.numbers('in', { first: 400, count: 40, partitions: PARTITIONS, keys: 40 })
  const again = countingApp()
  const back = await runWorker(log, { ...again, settings }, { store: stores[1], address: 'http://two' })
  await until('all committed', () => committed(log) === 440)
  expect(back.worker.assignment().tasks.map(({ id }) => id)).toEqual(before)
  expect(first.worker.stats().rebalances).toBe(rebalances)
  for (const count of countsOf(back.worker.context.openStates(again.counts)).values()) expect(count).toBe(11)
  await Promise.all([first.worker.stop(), back.worker.stop()])
})

test('if a store was copied, the first worker ends with the reason, and both run after it is restarted', async () => {
  const { log } = await pair()
  const [original, copy] = [new HeapStore('one'), new HeapStore('one')]
  const first = await runWorker(log, countingApp(), { store: original })
  const ended = first.worker.finished.catch((error: unknown) => error)
  const second = await runWorker(log, countingApp(), { store: copy })
  expect(await ended).toMatchObject({
    code: 'INSTANCE_TAKEN',
    detail: 'Another worker has joined group "app" with the instance id "one" of this one.',
  })
  const again = await runWorker(log, countingApp(), { store: original })
  await until('each worker to have two tasks', () => again.worker.assignment().tasks.length === 2)
  expect([second.worker.status, again.worker.assignment().memberId]).toEqual(['running', 'one-renewed'])
  await Promise.all([second.worker.stop(), again.worker.stop()])
})

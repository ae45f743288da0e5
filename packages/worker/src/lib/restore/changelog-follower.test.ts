import { type ManualClock, manualClock, type RecordBatch, systemClock } from '@millrace/core'
import type { Reader, StoreChange, StorePartition } from '@millrace/core/driver'
import { createMemoryLog, createMemoryTransport, type MemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Outside, outgoing, silentLog, until } from '../fixtures/test-worker.fixture.ts'
import type { RestoreEnvironment } from './changelog-follower.ts'
import { Recovery } from './recovery.ts'
import { type CopyRef, Standbys } from './standbys.ts'
import { TaskStores } from './task-stores.ts'

const counts = countTable('t')
const PARTITIONS = 6
const copyOf = (partition: number): CopyRef => ({ task: `${PARTITIONS}-${partition}`, definition: counts, partition })
const ref = copyOf(0)

/** A store whose operations fail when a test says so. */
class FailingStore extends HeapStore {
  refuses: 'open' | 'commit' | undefined
  refused = 0

  override async open(table: string, partition: number): Promise<StorePartition> {
    this.#judge('open')
    return super.open(table, partition)
  }

  override async commit(changes: readonly StoreChange[]): Promise<void> {
    this.#judge('commit')
    await super.commit(changes)
  }

  #judge(call: 'open' | 'commit'): void {
    if (this.refuses !== call) return
    this.refused++
    throw new Error(`no ${call}`)
  }
}

/** A broker whose readers fail, miss some partitions, or break off when a test says so. */
class Broker {
  away = false
  /** Makes reading fail at the next batch. */
  breaks = false
  readonly #held = new Map<number, () => void>()

  hold(partitions: readonly number[]): void {
    for (const partition of partitions) this.#held.set(partition, () => {})
  }

  release(partition: number): void {
    const read = this.#held.get(partition)
    this.#held.delete(partition)
    read?.()
  }

  reader(inner: Reader): Reader {
    return {
      assign: (partition, offset) => {
        const read = (): void => inner.assign(partition, offset)
        if (this.#held.has(partition.partition)) this.#held.set(partition.partition, read)
        else read()
      },
      unassign: (partition) => inner.unassign(partition),
      batches: () => this.#batches(inner),
      offsets: async (partitions) => {
        if (this.away) throw new Error('no broker')
        return inner.offsets(partitions)
      },
      close: () => inner.close(),
    }
  }

  async *#batches(inner: Reader): AsyncGenerator<RecordBatch> {
    for await (const batch of inner.batches()) {
      if (this.breaks) {
        this.breaks = false
        throw new Error('broken off')
      }
      yield batch
    }
  }
}

interface Setting {
  readonly log: MemoryLog
  readonly outside: Outside
  readonly store: FailingStore
  readonly stores: TaskStores
  readonly clock: ManualClock
  readonly environment: RestoreEnvironment
  readonly standbys: Standbys
  readonly warnings: string[]
  readonly failures: string[]
  readonly broker: Broker
  /** How often the group was asked for a rebalance. */
  readonly asked: () => number
}

async function setting({ durable = true }: { readonly durable?: boolean } = {}): Promise<Setting> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('t-changelog', PARTITIONS)
  const transport = createMemoryTransport(log, { clock: systemClock(), log: silentLog })
  const store = new FailingStore(undefined, { durable })
  const stores = new TaskStores(store)
  const clock = manualClock()
  const broker = new Broker()
  const warnings: string[] = []
  const failures: string[] = []
  let asked = 0
  const environment: RestoreEnvironment = {
    stores,
    topics: { changelogId: () => 'id', changelogConfig: () => ({}) },
    reader: () => broker.reader(transport.reader({ isolation: 'read-committed' })),
    clock,
    log: { ...silentLog, warn: (_fields, message) => void warnings.push(message) },
    sensor: { recoveryProgress: () => {} },
    fail: (error) => void failures.push(error.message),
  }
  const standbys = new Standbys(environment, { rejoin: () => void asked++ }, 0)
  return { log, outside, store, stores, clock, environment, standbys, warnings, failures, broker, asked: () => asked }
}

const lagOf = ({ standbys }: Setting): number | undefined => standbys.of('t')[0]?.lag
const isWarm = (here: Setting) => (): boolean => lagOf(here) === 0 && here.standbys.caughtUp.has(ref.task)

test('a copy whose task comes here hands over all its rows, and the task reads none of them again', async () => {
  const here = await setting({ durable: false })
  await here.outside.numbers('t-changelog', { count: 10, partitions: 1, keys: 10 })
  await here.stores.want(new Set(['t/0']))
  here.standbys.assign([ref])
  await until('a warm copy', isWarm(here))
  // The clock stands still, so the rows are gathered and not written.
  await here.outside.numbers('t-changelog', { first: 10, count: 10, partitions: 1, keys: 20 })
  await until('rows read', () => lagOf(here) === 10)
  const recovery = new Recovery(here.environment)
  here.standbys.assign([])
  const store = await recovery.restore(ref, { beginning: 0, end: 20 }, new AbortController().signal)
  expect([store.rows, store.checkpoint()?.offset]).toEqual([20, 20])
  expect(recovery.stats('t', true).restoredRows).toBe(0)
  await here.standbys.close()
  await recovery.close()
})

test('after a failed write to the store, no later write leaves out its rows', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'first', '1')])
  here.standbys.assign([ref])
  await until('a warm copy', isWarm(here))
  here.store.refuses = 'commit'
  await here.outside.send([outgoing('t-changelog', 0, 'second', '2')])
  await until('the second row', () => lagOf(here) === 1)
  await here.clock.advance(250)
  await until('the failure', () => here.failures.length === 1)
  expect(here.failures).toEqual(['no commit'])
  here.store.refuses = undefined
  await here.outside.send([outgoing('t-changelog', 0, 'third', '3')])
  await until('both rows', () => {
    void here.clock.advance(250)
    return here.store.checkpoint('t', 0)?.offset === 3
  })
  const rows = here.store.partitions.get('t/0')?.range() ?? []
  expect(rows.map(([key]) => key.toString())).toEqual(['first', 'second', 'third'])
  await here.standbys.close()
})

test('when reading breaks off, a copy continues from its store, and loses none of its gathered rows', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'first', '1')])
  here.standbys.assign([ref])
  await until('a warm copy', isWarm(here))
  await here.outside.send([outgoing('t-changelog', 0, 'second', '2')])
  await until('the second row', () => lagOf(here) === 1)
  here.broker.breaks = true
  await here.outside.send([outgoing('t-changelog', 0, 'third', '3')])
  await until('the failure', () => here.warnings.length === 1)
  expect([...here.standbys.caughtUp]).toEqual([])
  await here.clock.advance(2000)
  await until('a warm copy', isWarm(here))
  const store = here.store.partitions.get('t/0')
  expect([store?.rows, store?.checkpoint()?.offset]).toEqual([3, 3])
  expect(here.failures).toEqual([])
  await here.standbys.close()
})

test('when reading breaks off, the recovery of a task fails and releases its store', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'first', '1')])
  here.broker.breaks = true
  const recovery = new Recovery(here.environment)
  const restored = recovery.restore(ref, { beginning: 0, end: 1 }, new AbortController().signal)
  await expect(restored).rejects.toThrow('broken off')
  expect([recovery.active, here.store.partitions.get('t/0')?.isOpen]).toEqual([0, false])
  // A later recovery reads everything anew.
  const store = await recovery.restore(ref, { beginning: 0, end: 1 }, new AbortController().signal)
  expect(store.rows).toBe(1)
  await recovery.close()
})

test('when the store cannot be written, the recovery of a task fails and the worker ends', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'first', '1')])
  here.store.refuses = 'commit'
  const recovery = new Recovery(here.environment)
  const restored = recovery.restore(ref, { beginning: 0, end: 1 }, new AbortController().signal)
  await expect(restored).rejects.toThrow('no commit')
  expect([here.failures, here.store.partitions.get('t/0')?.isOpen]).toEqual([['no commit'], false])
  await recovery.close()
})

for (const [what, fail] of [
  ['its store could not be opened', (here: Setting) => void (here.store.refuses = 'open')],
  ['the broker did not report the end of its changelog', (here: Setting) => void (here.broker.away = true)],
] as const)
  test(`a copy is retried when ${what}, and the worker continues`, async () => {
    const here = await setting()
    await here.outside.send([outgoing('t-changelog', 0, 'first', '1')])
    fail(here)
    here.standbys.assign([ref])
    await until('the failure', () => here.warnings.length === 1)
    expect(here.warnings[0]).toMatch(/^The warm copy of partition 0 of t cannot be read/)
    here.store.refuses = undefined
    here.broker.away = false
    await here.clock.advance(2000)
    await until('a warm copy', isWarm(here))
    expect(here.failures).toEqual([])
    await here.standbys.close()
    expect(here.store.partitions.get('t/0')?.isOpen).toBe(false)
  })

test('a copy that is dropped while the broker is away releases its store at once', async () => {
  const here = await setting()
  here.broker.away = true
  here.standbys.assign([ref])
  await until('the failure', () => here.warnings.length === 1)
  here.standbys.assign([])
  await until('a closed store', () => here.store.partitions.get('t/0')?.isOpen === false)
  await here.standbys.close()
})

test('only one of many unreadable copies logs a warning at a time', async () => {
  const here = await setting()
  here.broker.away = true
  const said: string[] = []
  const standbys = new Standbys(
    { ...here.environment, log: { ...silentLog, warn: () => said.push('warn'), debug: () => said.push('debug') } },
    { rejoin: () => {} },
    0,
  )
  standbys.assign([0, 1, 2].map(copyOf))
  await until('all three', () => said.length === 3)
  await here.clock.advance(2000)
  await until('all three copies again', () => said.length === 6)
  expect(said.filter((level) => level === 'warn').length).toBe(2)
  await standbys.close()
})

test('asks for a rebalance once for copies the leader does not know, and again if it still does not', async () => {
  const { outside, clock, standbys, broker, asked } = await setting()
  const copies = [0, 1, 3, 5]
  const [first, second, other, last] = copies.map((partition) => copyOf(partition).task)
  const wanted = [first, second].flatMap((task) => task ?? [])
  const join = (tasks: readonly string[]): void => {
    standbys.report()
    standbys.assign(copies.map(copyOf))
    standbys.expect(tasks)
  }
  const catchUp = async (partition: number): Promise<void> => {
    broker.release(partition)
    await until(`copy ${partition}`, () => standbys.caughtUp.has(copyOf(partition).task))
  }
  const behind = async (): Promise<void> => {
    await outside.numbers('t-changelog', { count: PARTITIONS, partitions: PARTITIONS, keys: PARTITIONS })
    broker.hold(copies)
  }
  await behind()
  join(wanted)
  expect(standbys.waiting).toBe(2)
  // A copy that is to remain a standby is no reason to ask.
  await catchUp(3)
  await clock.advance(20_000)
  expect(asked()).toBe(0)
  await catchUp(0)
  // It waits a while for the other copy, so that both move together.
  expect(asked()).toBe(0)
  await clock.advance(10_000)
  expect(asked()).toBe(1)
  // The leader knows, and leaves the task in place.
  join(wanted)
  await clock.advance(20_000)
  expect(asked()).toBe(1)
  // The copy caught up between the join and its outcome.
  expect(standbys.report().toSorted()).toEqual([first, other])
  standbys.expect([])
  await catchUp(1)
  standbys.expect(wanted)
  expect(asked()).toBe(2)
  // Both copies at once.
  standbys.assign([])
  await behind()
  join(wanted)
  await catchUp(1)
  expect(asked()).toBe(2)
  await catchUp(0)
  expect(asked()).toBe(3)
  join([])
  await catchUp(5)
  await clock.advance(20_000)
  expect([asked(), standbys.waiting, standbys.caughtUp.has(last ?? '')]).toEqual([3, 0, true])
  await standbys.close()
})

test('a copy with a checkpoint in the future is rebuilt once rows are found to be compacted away', async () => {
  const here = await setting()
  await here.outside.numbers('t-changelog', { count: 10, partitions: 1, keys: 10 })
  here.standbys.assign([ref])
  await until('a warm copy', isWarm(here))
  here.standbys.assign([])
  await here.stores.released()
  const partition = await here.stores.open('t', 0)
  const checkpoint = { topicId: 'id', offset: 10, wallTimeMs: here.clock.now() + 86_400_000 }
  await here.stores.commit([{ partition, rows: [], checkpoint }])
  await here.stores.close(partition)
  const row = outgoing('t-changelog', 0, 'k3', '')
  await here.outside.send([
    outgoing('t-changelog', 0, 'new', '1'),
    { ...row, value: null },
    outgoing('t-changelog', 0, 'end', '1'),
  ])
  here.log.compact('t-changelog', { dropTombstones: true })
  here.standbys.assign([ref])
  await until('a warm copy again', isWarm(here))
  const keys = here.store.partitions
    .get('t/0')
    ?.range()
    .map(([key]) => key.toString())
  expect(keys).toEqual(['end', ...[0, 1, 2, 4, 5, 6, 7, 8, 9].map((key) => `k${key}`), 'new'])
  expect(here.warnings).toEqual([expect.stringMatching(/^The warm copy of partition 0 of t is rebuilt .* ran ahead/)])
  await here.standbys.close()
})

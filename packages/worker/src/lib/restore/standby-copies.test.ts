import {
  type Clock,
  type ManualClock,
  manualClock,
  type StoreChange,
  type StorePartition,
  systemClock,
} from '@millrace/core'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Outside, outgoing, silentLog, until } from '../fixtures/test-worker.fixture.ts'
import type { RestoreEnvironment } from './changelog-follower.ts'
import { Recovery } from './recovery.ts'
import { type CopyPlace, Standbys } from './standbys.ts'
import { TaskStores } from './task-stores.ts'

const counts = countTable('t')
const place: CopyPlace = { task: '1-0', part: counts, partition: 0 }

/** Refuses what a test wants it to refuse. */
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

interface Setting {
  readonly outside: Outside
  readonly store: FailingStore
  readonly stores: TaskStores
  readonly clock: ManualClock
  readonly environment: RestoreEnvironment
  readonly standbys: Standbys
  readonly warnings: string[]
  readonly failures: string[]
  /** The broker does not answer questions for the ends of changelogs. */
  readonly broker: { away: boolean }
}

async function setting({ durable = true }: { readonly durable?: boolean } = {}): Promise<Setting> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('t-changelog', 1)
  const system: Clock = systemClock()
  const transport = createMemoryTransport(log, { clock: system, log: silentLog })
  const store = new FailingStore(undefined, { durable })
  const stores = new TaskStores(store)
  const clock = manualClock()
  const broker = { away: false }
  const [warnings, failures]: string[][] = [[], []]
  const environment: RestoreEnvironment = {
    stores,
    topics: { changelogId: () => 'id', changelogConfig: () => ({}) },
    reader: () => {
      const inner = transport.reader({ isolation: 'read-committed' })
      return {
        assign: (partition, offset) => inner.assign(partition, offset),
        unassign: (partition) => inner.unassign(partition),
        batches: () => inner.batches(),
        offsets: async (partitions) => {
          if (broker.away) throw new Error('no broker')
          return inner.offsets(partitions)
        },
        close: () => inner.close(),
      }
    },
    clock,
    log: { ...silentLog, warn: (_fields, message) => void warnings?.push(message) },
    sensor: { recoveryProgress: () => {} },
    fail: (error) => void failures?.push(error.message),
  }
  const standbys = new Standbys(environment, 0, () => {})
  return {
    outside,
    store,
    stores,
    clock,
    environment,
    standbys,
    warnings: warnings ?? [],
    failures: failures ?? [],
    broker,
  }
}

const lagOf = ({ standbys }: Setting): number | undefined => standbys.of('t')[0]?.lag
const isWarm = (here: Setting) => (): boolean => lagOf(here) === 0 && here.standbys.caughtUp.has('1-0')

test('a copy whose task comes here hands over all that it has read: the task reads none of it again', async () => {
  const here = await setting({ durable: false })
  await here.outside.numbers('t-changelog', { count: 10, partitions: 1, keys: 10 })
  await here.stores.want(new Set(['t/0']))
  here.standbys.assign([place])
  await until('a warm copy', isWarm(here))
  // The clock stands still: they are gathered, and not written.
  await here.outside.numbers('t-changelog', { first: 10, count: 10, partitions: 1, keys: 20 })
  await until('rows read', () => lagOf(here) === 10)
  const recovery = new Recovery(here.environment)
  here.standbys.assign([])
  const store = await recovery.restore(place, { beginning: 0, end: 20 }, new AbortController().signal)
  expect([store.rows, store.checkpoint()?.offset]).toEqual([20, 20])
  expect(recovery.stats('t', true).restoredRows).toBe(0)
  await here.standbys.close()
  await recovery.close()
})

test('when the store could not be written, nothing is written that leaves out what it had to take', async () => {
  const here = await setting()
  await here.outside.send([outgoing('t-changelog', 0, 'first', '1')])
  here.standbys.assign([place])
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

for (const [what, fail] of [
  ['its store could not be opened', (here: Setting) => void (here.store.refuses = 'open')],
  ['the end of its changelog could not be asked for', (here: Setting) => void (here.broker.away = true)],
] as const)
  test(`a copy is tried again when ${what}, and the worker goes on`, async () => {
    const here = await setting()
    await here.outside.send([outgoing('t-changelog', 0, 'first', '1')])
    fail(here)
    here.standbys.assign([place])
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

test('a copy that is no longer wanted while the broker is away gives its store back at once', async () => {
  const here = await setting()
  here.broker.away = true
  here.standbys.assign([place])
  await until('the failure', () => here.warnings.length === 1)
  here.standbys.assign([])
  await until('a closed store', () => here.store.partitions.get('t/0')?.isOpen === false)
  await here.standbys.close()
})

import { endOfTurn } from '@millrace/core'
import type { Consumer, ConsumerOptions, GroupAssignor, Transport } from '@millrace/core/driver'
import { createMemoryLog, type MemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { addTo, countTable } from '../fixtures/count-table.fixture.ts'
import { HeapStore } from '../fixtures/heap-store.fixture.ts'
import { Outside, runWorker, type TestApp, until } from '../fixtures/test-worker.fixture.ts'
import { decodeGroupData, encodeGroupData } from './group-data.ts'
import { decodeMemberData } from './member-data.ts'
import { taskAssignor } from './task-assignor.ts'

const PARTITIONS = 4

function countingApp(): TestApp {
  const counts = countTable('counts')
  return {
    tables: [counts],
    agents: [{ name: 'count', topics: ['in'], handler: (event) => addTo(counts, event, String(event.record.key)) }],
  }
}

/** The worker's consumer, and the options of its creation. */
interface Seen {
  readonly consumer: Consumer
  readonly options: ConsumerOptions
}

function watch(
  transport: MemoryTransport,
  see: (seen: Seen) => void,
  change: Partial<ConsumerOptions> = {},
): Transport {
  const make = transport.consumer.bind(transport)
  return Object.assign(transport, {
    consumer: (options: ConsumerOptions) => {
      const consumer = make({ ...options, ...change })
      see({ consumer, options })
      return consumer
    },
  })
}

test('a member whose joins fail sends less about itself, and everything again once one has succeeded', async () => {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  let seen: Seen | undefined
  const wrap = (transport: MemoryTransport): Transport => watch(transport, (found) => (seen = found))
  const first = await runWorker(log, countingApp(), { store: new HeapStore('one'), wrap })
  await outside.numbers('in', { count: 400, partitions: PARTITIONS, keys: 40 })
  const committed = (): number => log.committed('app').reduce((sum, { offset }) => sum + offset, 0)
  await until('all committed', () => committed() === 400)
  const second = await runWorker(log, countingApp(), { store: new HeapStore('two') })
  await until('each worker to have two tasks', () => first.worker.assignment().tasks.length === PARTITIONS / 2)
  /** How many tasks it reports to hold the state of; two of them are only on its disk. */
  const told = (): number | undefined => decodeMemberData(seen?.options.memberData() ?? new Uint8Array(0))?.warm.size

  const { generation } = log.group('app')
  expect([told(), told(), told(), told(), told()]).toEqual([4, 4, 4, 2, 2])
  seen?.consumer.rejoin()
  const rejoined = (): boolean => log.group('app').generation > generation && log.group('app').phase === 'stable'
  await until('a join that succeeds', rejoined)
  await until('its assignment', () => first.worker.stats().status === 'running' && told() === 4, 5_000)
  await Promise.all([first.worker.stop(), second.worker.stop()])
})

test('a leader that keeps mistaking a static member is not asked for rebalances without end', async () => {
  const log = createMemoryLog()
  await new Outside(log).topic('in', PARTITIONS)
  let rounds = 0
  const assignor: GroupAssignor = {
    name: taskAssignor.name,
    assign: (view) => {
      // Otherwise the event loop would get no turn in which the test could fail.
      if (++rounds > 50) throw new Error('The group rebalances without end.')
      const { assignments, groupData, ownData } = taskAssignor.assign(view)
      const stamps = new Map([['one', 'of another version']])
      return {
        assignments,
        groupData: encodeGroupData({ ...decodeGroupData(groupData), stamps }),
        ...(ownData === undefined ? {} : { ownData }),
      }
    },
  }
  const wrap = (transport: MemoryTransport): Transport => watch(transport, () => {}, { assignor })
  const { worker } = await runWorker(log, countingApp(), { store: new HeapStore('one'), wrap })
  for (let turn = 0; turn < 200; turn++) await endOfTurn()
  expect(log.group('app')).toMatchObject({ generation: 4, phase: 'stable' })
  expect(worker.assignment().tasks).toHaveLength(PARTITIONS)
  await worker.stop()
})

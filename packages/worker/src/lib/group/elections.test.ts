import { deferred, manualClock } from '@millrace/core'
import type { Leadership } from '../contracts/group.ts'
import { expect, test } from 'vitest'
import { taskOf } from '../environment/task-id.ts'
import { aTask, TasksAlone, testEnvironment } from '../fixtures/task.fixture.ts'
import { Lease } from '../environment/lease.ts'
import { leaderTopic } from '../topics/declared-topology.ts'
import { Task } from '../task/task.ts'
import { Elections } from './elections.ts'
import { NO_GROUP_DATA } from './group-data.ts'

const SESSION_MS = 1000

/** A worker that was elected, with a heartbeat just now. */
function elected({ hasLife = true, sessions = false, limit = Promise.resolve() }: ElectedOptions = {}) {
  const clock = manualClock()
  let heartbeatMs = clock.monotonic()
  const lease = new Lease(clock, { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: 100 })
  lease.follow({ lastHeartbeatMs: () => heartbeatMs })
  const task = aTask(new TasksAlone(clock), { topic: leaderTopic('app'), partition: 0 }, 1)
  const terms: Leadership[] = []
  const environment = testEnvironment(clock, { heartbeatIntervalMs: 100 })
  const { transport } = environment
  const ids: string[] = []
  const make = transport.transactionalProducer.bind(transport)
  const seen = Object.assign(transport, {
    capabilities: { ...transport.capabilities, sessions },
    transactionalProducer: (options: Parameters<typeof make>[0]) => {
      ids.push(options.id)
      return make(options)
    },
  })
  const resigned: number[] = []
  const resign = async (): Promise<void> => {
    resigned.push(clock.monotonic())
    await limit
  }
  const elections = new Elections(
    { ...environment, transport: seen },
    {
      lease,
      member: { group: { ...NO_GROUP_DATA, life: hasLife ? 'life' : undefined } },
      candidates: [{ elected: (leadership) => void terms.push(leadership), resign }],
    },
  )
  elections.running(task)
  const [leadership] = terms
  if (leadership === undefined) throw new Error('Nobody was elected.')
  const beat = (): void => void (heartbeatMs = clock.monotonic())
  return { clock, task, leadership, terms, elections, beat, ids, resigned }
}

interface ElectedOptions {
  readonly hasLife?: boolean
  readonly sessions?: boolean
  /** A candidate takes until then to resign. */
  readonly limit?: Promise<void>
}

test('a leader whose lease has run out may not act', async () => {
  const { clock, leadership } = elected()
  leadership.check()
  await clock.advance(SESSION_MS)
  expect(() => leadership.check()).toThrow(expect.objectContaining({ code: 'LEASE_EXPIRED' }))
})

test('a leader that has a successor may not act, even if its heartbeats succeed', async () => {
  const { task, leadership } = elected()
  leadership.check()
  void task.close('another worker has it now')
  expect(() => leadership.check()).toThrow('another worker has it now')
  await expect(leadership.confirm()).rejects.toThrow('another worker has it now')
})

test('only the worker with the one partition of the leader topic leads', () => {
  const { clock, elections, terms, task } = elected()
  expect(elections.isLeaderTask(task)).toBe(true)
  const worker = new TasksAlone(clock)
  const assigned = [task.assigned, [{ topic: 'in', partition: 0 }]].flat()
  expect(elections.isLeaderTask(new Task(worker, { ...taskOf({ topic: 'in', partition: 0 }, 1), assigned }))).toBe(true)
  for (const other of [
    aTask(worker, { topic: 'in', partition: 0 }, 1),
    aTask(worker, { topic: leaderTopic('another'), partition: 0 }, 1),
    aTask(worker, { topic: leaderTopic('app'), partition: 1 }, 2),
  ]) {
    expect(elections.isLeaderTask(other)).toBe(false)
    elections.running(other)
  }
  expect(terms).toHaveLength(1)
})

test('a leader knows the life of its group and that its term ends with its task, and fences earlier ones', async () => {
  const { leadership, task, ids } = elected()
  expect([leadership.groupLife, elected({ hasLife: false }).leadership.groupLife]).toEqual(['life', ''])
  expect(leadership.signal).toBe(task.signal)
  await leadership.producer().close()
  expect(ids).toEqual([leaderTopic('app')])
})

test('a leader that confirms waits for a heartbeat from after the call, where members can be removed for silence', async () => {
  const free = elected()
  await free.clock.advance(1)
  await free.leadership.confirm()
  const { clock, leadership, beat, task } = elected({ sessions: true })
  // A heartbeat of this moment counts.
  await leadership.confirm()
  await clock.advance(1)
  let isConfirmed = false
  const confirmed = leadership.confirm().then(() => (isConfirmed = true))
  await clock.advance(200)
  expect(isConfirmed).toBe(false)
  beat()
  await clock.advance(25)
  expect(await confirmed).toBe(true)
  await clock.advance(1)
  const lost = expect(leadership.confirm()).rejects.toThrow('another worker has it now')
  void task.close('another worker has it now')
  await lost
})

test('a worker waits for its candidates to resign, within a limit', async () => {
  const quick = elected()
  expect([await quick.elections.resign(10), quick.resigned.length]).toEqual([true, 1])
  const gate = deferred<void>()
  const { clock, elections, resigned } = elected({ limit: gate.promise })
  const late = elections.resign(10)
  await clock.advance(10)
  expect([await late, resigned.length]).toEqual([false, 1])
  gate.resolve()
})

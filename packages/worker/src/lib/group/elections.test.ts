import { manualClock } from '@millrace/core'
import type { Leadership } from '../contracts/group.ts'
import { expect, test } from 'vitest'
import { aTask, TasksAlone, testEnvironment } from '../fixtures/task.fixture.ts'
import { Lease } from '../environment/lease.ts'
import { leaderTopic } from '../topics/declared-topology.ts'
import { Elections } from './elections.ts'
import { NO_GROUP_DATA } from './group-data.ts'

const SESSION_MS = 1000

/** A worker that was elected, with a heartbeat just now. */
function elected() {
  const clock = manualClock()
  const heartbeatMs = clock.monotonic()
  const lease = new Lease(clock, { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: 100 })
  lease.follow({ lastHeartbeatMs: () => heartbeatMs })
  const task = aTask(new TasksAlone(clock), { topic: leaderTopic('app'), partition: 0 }, 1)
  const terms: Leadership[] = []
  const elections = new Elections(testEnvironment(clock), {
    lease,
    member: { group: { ...NO_GROUP_DATA, life: 'life' } },
    candidates: [{ elected: (leadership) => void terms.push(leadership), resign: async () => {} }],
  })
  elections.running(task)
  const [leadership] = terms
  if (leadership === undefined) throw new Error('Nobody was elected.')
  return { clock, task, leadership }
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

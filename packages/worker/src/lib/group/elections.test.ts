import { type Leadership, manualClock } from '@millrace/core'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { silentLog } from '../fixtures/test-worker.fixture.ts'
import { TaskRuntime } from '../tasks/task-runtime.ts'
import { Elections, leaderTopic } from './elections.ts'
import { Lease } from './lease.ts'

const SESSION_MS = 1000

/** A worker that has been elected, and hears of its group just now. */
function elected() {
  const clock = manualClock()
  const heartbeatMs = clock.monotonic()
  const lease = new Lease({ clock, sessionTimeoutMs: SESSION_MS, lastHeartbeatMs: () => heartbeatMs })
  const task = new TaskRuntime({
    partitions: 1,
    partition: 0,
    assigned: [{ topic: leaderTopic('app'), partition: 0 }],
    output: { taskId: '1-0', delays: 0, add: () => {}, seal: async () => {}, pending: 0, abandon: () => {} },
    listener: {
      onTouched: () => {},
      onCutWanted: () => {},
      onSpilled: () => {},
      onSpillFailed: () => {},
      onNoMore: () => {},
      onMore: () => {},
    },
  })
  const terms: Leadership[] = []
  const elections = new Elections({
    appId: 'app',
    clock,
    lease,
    transport: createMemoryTransport(createMemoryLog(), { clock, log: silentLog }),
    settings: { heartbeatIntervalMs: 100, transactionTimeoutMs: 10_000 },
    lastHeartbeatMs: () => heartbeatMs,
    groupLife: () => 'life',
    candidates: () => [{ elected: (leadership) => void terms.push(leadership), resign: async () => {} }],
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

test('a leader that another worker has followed may not act, though it still hears of its group', async () => {
  const { task, leadership } = elected()
  leadership.check()
  task.close('another worker has it now')
  expect(() => leadership.check()).toThrow('another worker has it now')
  await expect(leadership.confirm()).rejects.toThrow('another worker has it now')
})

import { isMillraceError, manualClock, systemClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { Lease } from './lease.ts'

const SESSION_MS = 100

/** A lease of 100 ms, with its last heartbeat now. */
function held() {
  const clock = manualClock()
  let heartbeatMs = clock.monotonic()
  const lease = new Lease(clock, { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: 10 })
  lease.follow({ lastHeartbeatMs: () => heartbeatMs })
  const heartbeat = async (): Promise<void> => {
    await clock.advance(1)
    heartbeatMs = clock.monotonic()
  }
  return { clock, lease, heartbeat }
}

test('runs out a session after the last heartbeat, and returns with the next one', async () => {
  const { clock, lease, heartbeat } = held()
  await clock.advance(SESSION_MS - 1)
  expect(lease.valid).toBe(true)
  lease.check()
  await clock.advance(1)
  expect(lease.valid).toBe(false)
  expect(lease.hasRunOut).toBe(true)
  expect(lease.check).toThrow(expect.objectContaining({ code: 'LEASE_EXPIRED' }))
  await heartbeat()
  expect(lease.valid).toBe(true)
})

test('runs out while the machine is suspended, although its monotonic clock stands still', async () => {
  const { clock, lease, heartbeat } = held()
  await clock.advance(10)
  clock.suspend(SESSION_MS)
  expect(lease.valid).toBe(false)
  await heartbeat()
  expect(lease.valid).toBe(true)
  // Both times together are a session.
  clock.suspend(60)
  expect(lease.valid).toBe(true)
  await clock.advance(40)
  expect(lease.valid).toBe(false)
})

test('setting the wall clock back does not extend it; setting it forward ends it until the next heartbeat', async () => {
  const { clock, lease, heartbeat } = held()
  await clock.advance(50)
  clock.set(clock.now() - 3_600_000)
  expect(lease.valid).toBe(true)
  await clock.advance(50)
  expect(lease.valid).toBe(false)
  await heartbeat()
  clock.set(clock.now() - 3_600_000)
  clock.suspend(SESSION_MS)
  expect(lease.valid).toBe(false)
  await heartbeat()
  clock.set(clock.now() + 3_600_000)
  expect(lease.valid).toBe(false)
  await heartbeat()
  expect(lease.valid).toBe(true)
})

test('ends at once when membership is lost, however fresh the last heartbeat, until the worker has joined again', async () => {
  const { lease, heartbeat } = held()
  lease.end()
  await heartbeat()
  expect(lease.valid).toBe(false)
  expect(lease.check).toThrow('The group has gone on without this worker.')
  // The loss of membership was reported already.
  expect(lease.hasRunOut).toBe(false)
  lease.renew()
  lease.check()
})

test('never runs out without sessions, but ends with the membership', () => {
  const lease = new Lease(systemClock(), { sessionTimeoutMs: undefined, heartbeatIntervalMs: 10 })
  expect(lease.valid).toBe(true)
  lease.end()
  expect(lease.valid).toBe(false)
  expect(isMillraceError(new Error('other'))).toBe(false)
})

test('waiters are notified once when it is back: at the next check, or at once when the worker has joined', async () => {
  const { clock, lease, heartbeat } = held()
  const back: string[] = []
  await clock.advance(SESSION_MS)
  lease.whenBack({ leaseIsBack: () => void back.push('first') })
  await clock.advance(SESSION_MS)
  lease.joined()
  expect(back).toEqual([])
  await heartbeat()
  await clock.advance(20)
  expect(back).toEqual(['first'])
  await clock.advance(SESSION_MS)
  lease.whenBack({ leaseIsBack: () => void back.push('second') })
  await heartbeat()
  lease.joined()
  expect(back).toEqual(['first', 'second'])
  await clock.advance(SESSION_MS)
  lease.close()
  expect(clock.pending()).toBe(0)
})

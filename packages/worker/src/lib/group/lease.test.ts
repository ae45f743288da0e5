import { type Clock, isMillraceError, systemClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { Lease } from './lease.ts'

test('runs out a session after the last heartbeat, and comes back with the next', () => {
  let now = 1000
  let heartbeat = 1000
  const clock: Clock = { ...systemClock(), monotonic: () => now }
  const lease = new Lease({ clock, sessionTimeoutMs: 100, lastHeartbeatMs: () => heartbeat })
  now = 1099
  expect(lease.valid).toBe(true)
  lease.check()
  now = 1100
  expect(lease.valid).toBe(false)
  expect(lease.check).toThrow(expect.objectContaining({ code: 'LEASE_EXPIRED' }))
  heartbeat = 1050
  expect(lease.valid).toBe(true)
})

test('never runs out without sessions', () => {
  const lease = new Lease({ clock: systemClock(), sessionTimeoutMs: undefined, lastHeartbeatMs: () => -Infinity })
  expect(lease.valid).toBe(true)
  expect(isMillraceError(new Error('other'))).toBe(false)
})

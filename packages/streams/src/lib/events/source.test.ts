import { expect, it } from 'vitest'
import { Wakeup, Watchers } from './source.ts'

/** Whether a promise is resolved once everything that can continue has. */
async function isResolved(promise: Promise<void>): Promise<boolean> {
  let resolved = false
  void promise.then(() => (resolved = true))
  await new Promise((resolve) => setImmediate(resolve))
  return resolved
}

it('wakes a waiter, and keeps one call from before the wait', async () => {
  const wakeup = new Wakeup()
  const waiting = wakeup.wait()
  expect(await isResolved(waiting)).toBe(false)
  wakeup.wake()
  expect(await isResolved(waiting)).toBe(true)
  wakeup.wake()
  wakeup.wake()
  expect(await isResolved(wakeup.wait())).toBe(true)
  expect(await isResolved(wakeup.wait())).toBe(false)
})

it('lets simultaneous waiters wait together', async () => {
  const wakeup = new Wakeup()
  const waits = [wakeup.wait(), wakeup.wait()]
  wakeup.wake()
  for (const wait of waits) expect(await isResolved(wait)).toBe(true)
})

it('wakes all watchers of a source, and each once', async () => {
  const watchers = new Watchers()
  const wakeups = [new Wakeup(), new Wakeup()]
  for (const wakeup of wakeups) watchers.add(wakeup)
  watchers.wake()
  for (const wakeup of wakeups) expect(await isResolved(wakeup.wait())).toBe(true)
  watchers.wake()
  for (const wakeup of wakeups) expect(await isResolved(wakeup.wait())).toBe(false)
})

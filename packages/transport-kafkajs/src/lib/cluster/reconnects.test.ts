import { manualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { Reconnects } from './reconnects.ts'

const silent = { trying: (): void => {} }

test('operations that fail together share one wait, one refresh and one report per attempt', async () => {
  const clock = manualClock()
  const tries: string[] = []
  const health = { trying: (what: string, reason: string): void => void tries.push(`${what}: ${reason}`) }
  let refreshes = 0
  const refresh = async (): Promise<void> => {
    if (++refreshes < 3) throw new Error('still down.')
  }
  const reconnects = new Reconnects({ refresh }, { clock, health })
  const { signal } = new AbortController()
  const waits = ['fetch', 'heartbeat', 'send'].map((what) => reconnects.wait(what, 'it broke.', signal))
  await clock.advance('10s')
  await Promise.all(waits)
  expect(refreshes).toBe(3)
  expect(tries).toEqual(['fetch: it broke.', 'fetch: still down.', 'fetch: still down.'])
})

test('waits grow while failures continue, and start over after a calm period', async () => {
  const clock = manualClock()
  const reconnects = new Reconnects({ refresh: async () => {} }, { clock, health: silent })
  const { signal } = new AbortController()
  const waited = async (): Promise<number> => {
    const wait = reconnects.wait('x', 'y', signal)
    const waitMs = clock.nextInMs() ?? 0
    await clock.advance(waitMs)
    await wait
    return waitMs
  }
  const first = await waited()
  const second = await waited()
  for (let i = 0; i < 6; i++) await waited()
  const late = await waited()
  await clock.advance('1m')
  const afterCalm = await waited()
  expect(first).toBeLessThan(60)
  expect(second).toBeGreaterThan(first)
  expect(late).toBeGreaterThanOrEqual(800)
  expect(late).toBeLessThanOrEqual(1_000)
  expect(afterCalm).toBeLessThan(60)
})

test('a closed client stops waiting', async () => {
  const clock = manualClock()
  const reconnects = new Reconnects({ refresh: () => Promise.reject(new Error('down')) }, { clock, health: silent })
  const closing = new AbortController()
  const wait = reconnects.wait('x', 'y', closing.signal)
  closing.abort(new Error('closed'))
  await expect(wait).rejects.toThrow('closed')
  reconnects.stop()
  await clock.advance('1s')
  expect(clock.pending()).toBe(0)
})

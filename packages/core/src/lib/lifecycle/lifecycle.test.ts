import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { manualClock } from '../time/manual-clock.ts'
import { backoffMs, deferred, raceAbort, withTimeout } from './promises.ts'

const late = (): Error => new Error('too late')

describe('raceAbort', () => {
  test('resolves as the promise does, and removes its listener from the signal', async () => {
    const { signal } = new AbortController()
    await expect(raceAbort(Promise.resolve(1), signal)).resolves.toBe(1)
    await expect(raceAbort(Promise.reject(new Error('broke')), signal)).rejects.toThrow('broke')
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test("rejects with the signal's reason; a later failure of the promise is ignored", async () => {
    const controller = new AbortController()
    const work = deferred<void>()
    const waiting = raceAbort(work.promise, controller.signal)
    controller.abort(new Error('stopped'))
    await expect(waiting).rejects.toThrow('stopped')
    await expect(raceAbort(work.promise, controller.signal)).rejects.toThrow('stopped')
    work.reject(new Error('told to nobody'))
    await new Promise((resolve) => setImmediate(resolve))
  })
})

describe('withTimeout', () => {
  test('resolves as the promise does, and leaves no timer', async () => {
    const clock = manualClock()
    await expect(withTimeout(Promise.resolve(1), 1000, clock, late)).resolves.toBe(1)
    await expect(withTimeout(Promise.reject(new Error('broke')), 1000, clock, late)).rejects.toThrow('broke')
    expect(clock.pending()).toBe(0)
  })

  test('rejects when the limit has passed, not before', async () => {
    const clock = manualClock()
    const work = deferred<void>()
    let error: unknown
    const waiting = withTimeout(work.promise, 1000, clock, late).catch((thrown: unknown) => (error = thrown))
    await clock.advance(999)
    expect(error).toBeUndefined()
    await clock.advance(1)
    await waiting
    expect(error).toMatchObject({ message: 'too late' })
    work.reject(new Error('told to nobody'))
    await new Promise((resolve) => setImmediate(resolve))
  })
})

describe('backoffMs', () => {
  test('doubles up to the maximum', () => {
    expect([1, 2, 3, 4, 5, 2000].map((failures) => backoffMs(failures, { firstMs: 100, mostMs: 700 }, 0))).toEqual([
      100, 200, 400, 700, 700, 700,
    ])
  })

  test('jitter only shortens the delay, by at most its share', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, jitter, random) => {
          const full = backoffMs(failures, { firstMs: 50, mostMs: 5000, jitter: 0 }, random)
          const wait = backoffMs(failures, { firstMs: 50, mostMs: 5000, jitter }, random)
          expect(wait).toBeLessThanOrEqual(full)
          expect(wait).toBeGreaterThanOrEqual(full * (1 - jitter) - 1e-9)
        },
      ),
    )
  })
})

test('a deferred promise is settled from outside', async () => {
  const good = deferred<number>()
  good.resolve(1)
  good.reject(new Error('ignored'))
  await expect(good.promise).resolves.toBe(1)
  const bad = deferred<number>()
  bad.reject(new Error('broke'))
  await expect(bad.promise).rejects.toThrow('broke')
})

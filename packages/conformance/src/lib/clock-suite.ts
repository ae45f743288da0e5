import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from '@millrace/core'
import { describe, expect, test } from 'vitest'

/** A clock, and a way to let time pass on it. */
export interface ClockUnderTest {
  readonly clock: Clock
  /** Resolves when `ms` of the clock's time have passed and due timers have run. */
  elapse(ms: number): Promise<void>
}

/**
 * The contract of `Clock`.
 *
 * @example
 * clockSuite('system', () => {
 *   const clock = systemClock()
 *   return { clock, elapse: (ms) => clock.sleep(ms) }
 * })
 */
export function clockSuite(name: string, create: () => ClockUnderTest): void {
  describe(`clock: ${name}`, () => {
    describe('time', () => {
      test('both times advance by the elapsed time, and monotonic time never goes back', async () => {
        const { clock, elapse } = create()
        const [wall, start] = [clock.now(), clock.monotonic()]
        let last = start
        for (let step = 0; step < 5; step++) {
          await elapse(4)
          expect(clock.monotonic()).toBeGreaterThanOrEqual(last)
          last = clock.monotonic()
        }
        const passed = clock.monotonic() - start
        expect(passed).toBeGreaterThanOrEqual(20)
        // Timers have whole milliseconds, and a machine may correct its wall clock slightly meanwhile.
        expect(Math.abs(clock.now() - wall - passed)).toBeLessThan(20)
      })

      test('the elapsed time since a moment is at least that of the monotonic clock', async () => {
        const { clock, elapse } = create()
        const start = clock.monotonic()
        await elapse(5)
        const passed = clock.monotonic() - start
        expect(clock.elapsedSince(start)).toBeGreaterThanOrEqual(passed)
        expect(clock.elapsedSince(-Infinity)).toBe(Infinity)
      })
    })

    describe('schedule', () => {
      test('runs once, and not before its time', async () => {
        const { clock, elapse } = create()
        const start = clock.monotonic()
        const ranAt: number[] = []
        clock.schedule(15, () => ranAt.push(clock.monotonic() - start))
        await elapseUntil(elapse, () => ranAt.length > 0)
        await elapse(20)
        expect(ranAt).toHaveLength(1)
        expect(ranAt[0]).toBeGreaterThanOrEqual(15)
      })

      test('runs in order of time, whatever the order of setting', async () => {
        const { clock, elapse } = create()
        const ran: string[] = []
        clock.schedule(60, () => ran.push('third'))
        clock.schedule(5, () => ran.push('first'))
        clock.schedule(30, () => ran.push('second'))
        await elapseUntil(elapse, () => ran.length === 3)
        expect(ran).toEqual(['first', 'second', 'third'])
      })

      test.each([0, -5])('%d ms is a later turn, never this one, without letting time pass', async (delayMs) => {
        const { clock } = create()
        let ran = false
        clock.schedule(delayMs, () => (ran = true))
        expect(ran).toBe(false)
        await Promise.resolve()
        expect(ran).toBe(false)
        await turnsUntil(() => ran)
      })

      test('a delay beyond the limit of the runtime’s timers does not run at once', async () => {
        const { clock, elapse } = create()
        let ran = false
        const timers = [2 ** 31, 2 ** 40, Infinity].map((delayMs) => clock.schedule(delayMs, () => (ran = true)))
        await elapse(10)
        expect(ran).toBe(false)
        for (const timer of timers) timer.cancel()
      })

      test('runs in the async context it was set in', async () => {
        const { clock, elapse } = create()
        const context = new AsyncLocalStorage<string>()
        const seen: (string | undefined)[] = []
        context.run('later', () => clock.schedule(5, () => seen.push(context.getStore())))
        context.run('at once', () => clock.schedule(0, () => seen.push(context.getStore())))
        await context.run('elapsing', () => elapseUntil(elapse, () => seen.length === 2))
        expect(new Set(seen)).toEqual(new Set(['at once', 'later']))
      })

      test('a timer may set another', async () => {
        const { clock, elapse } = create()
        const start = clock.monotonic()
        let endMs = 0
        clock.schedule(5, () => clock.schedule(5, () => (endMs = clock.monotonic() - start)))
        await elapseUntil(elapse, () => endMs > 0)
        expect(endMs).toBeGreaterThanOrEqual(10)
      })
    })

    describe('cancel', () => {
      test('keeps a timer from running, even one that is due in a later turn', async () => {
        const { clock, elapse } = create()
        let ran = false
        clock.schedule(5, () => (ran = true)).cancel()
        clock.schedule(0, () => (ran = true)).cancel()
        await elapse(20)
        expect(ran).toBe(false)
      })

      test('has no effect twice, or after the timer has run', async () => {
        const { clock, elapse } = create()
        let ran = 0
        const first = clock.schedule(5, () => ran++)
        await elapseUntil(elapse, () => ran === 1)
        clock.schedule(5, () => ran++)
        first.cancel()
        first.cancel()
        await elapseUntil(elapse, () => ran === 2)
      })

      test('works from within an earlier timer', async () => {
        const { clock, elapse } = create()
        const ran: string[] = []
        clock.schedule(5, () => {
          ran.push('first')
          second.cancel()
        })
        const second = clock.schedule(40, () => ran.push('second'))
        clock.schedule(50, () => ran.push('third'))
        await elapseUntil(elapse, () => ran.includes('third'))
        expect(ran).toEqual(['first', 'third'])
      })
    })

    describe('sleep', () => {
      test('resolves when its time is over', async () => {
        const { clock, elapse } = create()
        const start = clock.monotonic()
        let sleptMs: number | undefined
        const sleeping = clock.sleep(15).then(() => (sleptMs = clock.monotonic() - start))
        await elapseUntil(elapse, () => sleptMs !== undefined)
        await sleeping
        expect(sleptMs).toBeGreaterThanOrEqual(15)
      })

      test('rejects with the reason of a signal that has aborted', async () => {
        const { clock } = create()
        await expect(clock.sleep(10_000, AbortSignal.abort(new Error('over')))).rejects.toThrow('over')
      })

      test('rejects with the reason when its signal aborts', async () => {
        const { clock, elapse } = create()
        const controller = new AbortController()
        const sleeping = clock.sleep(100_000, controller.signal)
        const rejected = expect(sleeping).rejects.toThrow('over')
        await elapse(5)
        controller.abort(new Error('over'))
        await rejected
      })

      test('ignores a signal that aborts afterwards', async () => {
        const { clock, elapse } = create()
        const controller = new AbortController()
        let slept = false
        const sleeping = clock.sleep(5, controller.signal).then(() => (slept = true))
        await elapseUntil(elapse, () => slept)
        controller.abort(new Error('over'))
        await expect(sleeping).resolves.toBe(true)
      })
    })
  })
}

const MOST_STEPS = 400
const STEP_MS = 5

async function elapseUntil(elapse: ClockUnderTest['elapse'], condition: () => boolean): Promise<void> {
  for (let step = 0; !condition(); step++) {
    expect(step, 'the timer came within 2 s').toBeLessThan(MOST_STEPS)
    await elapse(STEP_MS)
  }
}

const MOST_TURNS_MS = 2000

async function turnsUntil(condition: () => boolean): Promise<void> {
  const start = performance.now()
  while (!condition()) {
    expect(performance.now() - start, 'it came within 2 s').toBeLessThan(MOST_TURNS_MS)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

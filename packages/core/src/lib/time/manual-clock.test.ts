import fc from 'fast-check'
import { expect, test } from 'vitest'
import { manualClock } from './manual-clock.ts'

test('wall time and monotonic time are independent and stand still', async () => {
  const clock = manualClock({ now: new Date('2026-03-01T00:00:00Z') })
  const [wall, monotonic] = [clock.now(), clock.monotonic()]
  expect(wall).toBe(Date.UTC(2026, 2, 1))
  expect(Math.abs(wall - monotonic)).toBeGreaterThan(1e9)
  await new Promise((resolve) => setImmediate(resolve))
  expect([clock.now(), clock.monotonic()]).toEqual([wall, monotonic])
  await clock.advance('1.5s')
  expect([clock.now() - wall, clock.monotonic() - monotonic]).toEqual([1500, 1500])
})

test('timers fire in order of time, then of creation, each at its own time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 12 }),
      fc.nat(60),
      async (delays, advanceMs) => {
        const clock = manualClock()
        const start = clock.monotonic()
        const ran: (readonly [index: number, atMs: number])[] = []
        delays.forEach((delayMs, index) => clock.schedule(delayMs, () => ran.push([index, clock.monotonic() - start])))
        await clock.advance(advanceMs)
        const expected = delays
          .map((delayMs, index) => [index, delayMs] as const)
          .filter(([, delayMs]) => delayMs <= advanceMs)
          .sort(([, a], [, b]) => a - b)
        expect(ran).toEqual(expected)
        expect(clock.pending()).toBe(delays.length - expected.length)
      },
    ),
    { numRuns: 50 },
  )
})

test('work started by a timer ends before the next timer; new timers are included', async () => {
  const clock = manualClock()
  const log: string[] = []
  clock.schedule(10, () => {
    log.push('first')
    clock.schedule(5, () => log.push('between'))
    void (async () => {
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
      log.push('work of first')
    })()
  })
  clock.schedule(20, () => log.push('second'))
  await clock.advance(30)
  expect(log).toEqual(['first', 'work of first', 'between', 'second'])
})

test('waits for quiescence before, between and after timers', async () => {
  let asked = 0
  const clock = manualClock({
    quiesce: async () => {
      asked++
    },
  })
  clock.schedule(1, () => {})
  clock.schedule(2, () => {})
  await clock.advance(5)
  expect(asked).toBe(3)
})

test('set moves the wall clock only', async () => {
  const clock = manualClock()
  let ran = false
  clock.schedule(1000, () => (ran = true))
  const monotonic = clock.monotonic()
  clock.set(new Date('2030-01-01T00:00:00Z'))
  expect([clock.now(), clock.monotonic(), ran]).toEqual([Date.UTC(2030, 0, 1), monotonic, false])
  await clock.advance(1000)
  expect([clock.now(), ran]).toEqual([Date.UTC(2030, 0, 1) + 1000, true])
})

test('pending and nextInMs show the timers that wait', () => {
  const clock = manualClock()
  expect([clock.pending(), clock.nextInMs()]).toEqual([0, undefined])
  clock.schedule(20, () => {})
  const near = clock.schedule(10, () => {})
  expect([clock.pending(), clock.nextInMs()]).toEqual([2, 10])
  near.cancel()
  expect([clock.pending(), clock.nextInMs()]).toEqual([1, 20])
})

test('advances run one after the other, also after one has failed', async () => {
  const clock = manualClock()
  const start = clock.monotonic()
  clock.schedule(5, () => {
    throw new Error('timer broke')
  })
  const first = clock.advance(10)
  const second = clock.advance(10)
  await expect(first).rejects.toThrow('timer broke')
  await second
  expect(clock.monotonic() - start).toBe(15)
})

test('an advance by an invalid duration is refused', () => {
  expect(() => Reflect.apply(manualClock().advance, undefined, ['soon'])).toThrow(
    expect.objectContaining({ code: 'DURATION_INVALID' }),
  )
})

test('an invalid date is refused', () => {
  expect(() => manualClock({ now: new Date('soon') })).toThrow(expect.objectContaining({ code: 'DEFINITION_INVALID' }))
  expect(() => manualClock().set(NaN)).toThrow(expect.objectContaining({ code: 'DEFINITION_INVALID' }))
})

test('after a suspension wall time has passed, no timer is due, and the elapsed time includes it', async () => {
  const clock = manualClock()
  const [startMs, wallMs] = [clock.monotonic(), clock.now()]
  let ran = false
  clock.schedule(1000, () => (ran = true))
  clock.suspend('1h')
  await clock.advance(0)
  expect([clock.monotonic() - startMs, clock.now() - wallMs, ran]).toEqual([0, 3_600_000, false])
  expect(clock.elapsedSince(startMs)).toBe(3_600_000)
  await clock.advance(1000)
  expect(ran).toBe(true)
  expect(clock.elapsedSince(startMs)).toBe(3_601_000)
  // Since a moment after it nothing was missed.
  const laterMs = clock.monotonic()
  await clock.advance(5)
  expect(clock.elapsedSince(laterMs)).toBe(5)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WallLeaps } from './wall-leaps.ts'

test('jitter between two clocks does not accumulate; a slow forward drift does', () => {
  const leaps = new WallLeaps()
  for (let ms = 0; ms < 100_000; ms++) leaps.look(ms, 1_000_000 + ms + (ms % 7) - 3)
  expect(leaps.since(-1)).toBe(0)
  const drifting = new WallLeaps()
  for (let ms = 0; ms <= 100_000; ms += 10) drifting.look(ms, 1_000_000 + ms * 1.01)
  expect(drifting.since(-1)).toBeGreaterThan(900)
  expect(drifting.since(-1)).toBeLessThanOrEqual(1000)
})

test('the result is never less than the time slept, whatever else the wall clock did', () => {
  const step = fc.record({
    monotonicMs: fc.nat({ max: 1000 }),
    sleptMs: fc.constantFrom(0, 0, 60, 5000),
    setMs: fc.constantFrom(0, 0, -7000, 9000),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 100 }), (steps) => {
      const leaps = new WallLeaps()
      let [monotonicMs, wallMs] = [0, 1_000_000]
      leaps.look(monotonicMs, wallMs)
      const moments: { atMs: number; sleptMs: number }[] = []
      let sleptMs = 0
      for (const one of steps) {
        moments.push({ atMs: monotonicMs, sleptMs })
        // The clock is not set in the moment in which the machine sleeps.
        wallMs += one.setMs
        leaps.look(monotonicMs, wallMs)
        monotonicMs += one.monotonicMs + 1
        wallMs += one.monotonicMs + 1 + one.sleptMs
        sleptMs += one.sleptMs
        leaps.look(monotonicMs, wallMs)
      }
      for (const moment of moments) expect(leaps.since(moment.atMs)).toBeGreaterThanOrEqual(sleptMs - moment.sleptMs)
    }),
  )
})

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { HandlingTimes } from './handling-times.ts'

it('times every event while they are few', () => {
  const times = new HandlingTimes()
  for (let at = 0; at < 100; at++) {
    expect(times.due()).toBe(true)
    times.end(times.begin(at * 50), at * 50 + at + 1, 0)
  }
  const { p50Ms, p99Ms, samples, longestInFlightMs } = times.report(5_000)
  expect([p50Ms, p99Ms, samples, longestInFlightMs]).toEqual([50, 99, 100, 0])
})

it('times fewer events as their rate grows, and more again as it falls', () => {
  const times = new HandlingTimes()
  let timed = 0
  for (let at = 0; at < 100_000; at++) {
    if (!times.due()) continue
    timed++
    times.end(times.begin(at / 1000), at / 1000, 0)
  }
  expect(timed).toBeLessThan(50)
  let waited = 0
  for (let nowMs = 1_000; waited < 10_000; nowMs += 1_000) {
    waited++
    if (times.due()) times.end(times.begin(nowMs), nowMs, 0)
  }
  expect(times.due()).toBe(true)
})

it('reports the last minute only, and how long the oldest has been in flight', () => {
  const times = new HandlingTimes()
  times.end(times.begin(0), 7, 0)
  expect(times.report(60_007)).toMatchObject({ p50Ms: 7, samples: 1 })
  expect(times.report(60_008)).toMatchObject({ p50Ms: undefined, p99Ms: undefined, samples: 0 })
  const slow = times.begin(70_000)
  times.begin(70_500)
  expect(times.report(71_000).longestInFlightMs).toBe(1_000)
  times.drop(slow)
  expect(times.report(71_000).longestInFlightMs).toBe(500)
})

it('gives quantiles that are samples, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 600 }), (durations) => {
      const times = new HandlingTimes()
      for (const duration of durations) times.end(times.begin(0), duration, 0)
      const { p50Ms = -1, p99Ms = -1 } = times.report(1_000)
      const last = durations.slice(-512)
      expect(last).toContain(p50Ms)
      expect(last).toContain(p99Ms)
      expect(p50Ms).toBeLessThanOrEqual(p99Ms)
      expect(last.filter((each) => each <= p50Ms).length).toBeGreaterThanOrEqual(last.length / 2)
    }),
  )
})

it('counts every event in the histograms, whether it was timed or not', () => {
  const times = new HandlingTimes()
  let nowMs = 0
  for (let at = 0; at < 50_000; at++) {
    nowMs += at < 40_000 ? 0.01 : 1
    if (times.due()) times.end(times.begin(nowMs), nowMs + 2, at === 0 ? -5 : 700)
  }
  const { handling, latency } = times.histograms()
  // All events except those since the last sample.
  expect(50_000 - handling.count).toBeLessThan(4_096)
  expect(handling.sumMs / handling.count).toBeCloseTo(2)
  expect(latency.sumMs).toBeCloseTo(700 * (latency.count - 1))
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TIME_BOUNDS_MS, TimeHistogram } from './time-histogram.ts'

test('each value is counted once, in its own bucket', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ ms: fc.double({ min: 0, max: 1e6, noNaN: true }), weight: fc.integer({ min: 1, max: 9 }) })),
      (samples) => {
        const histogram = new TimeHistogram()
        for (const { ms, weight } of samples) histogram.add(ms, weight)
        const { counts, count, sumMs } = histogram.stats()
        const upTo = (bound: number): number =>
          samples.reduce((sum, { ms, weight }) => sum + (ms <= bound ? weight : 0), 0)
        const sums = counts.map((_, at) => counts.slice(0, at + 1).reduce((sum, each) => sum + each, 0))
        expect(sums).toEqual([...TIME_BOUNDS_MS, Infinity].map(upTo))
        expect(count).toBe(upTo(Infinity))
        expect(sumMs).toBeCloseTo(
          samples.reduce((sum, { ms, weight }) => sum + ms * weight, 0),
          3,
        )
      },
    ),
  )
})

test('a time equal to a bound counts as within it', () => {
  const histogram = new TimeHistogram()
  histogram.add(1)
  histogram.add(1.01)
  const at = TIME_BOUNDS_MS.indexOf(1)
  expect(histogram.stats().counts.slice(at, at + 2)).toEqual([1, 1])
})

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Rates } from './rates.ts'

const counts = (events: number): ReadonlyMap<string, number> => new Map([['events', events]])

it('is the average over the last five seconds', () => {
  const rates = new Rates()
  expect(rates.perSecond('events')).toBeUndefined()
  rates.add(0, counts(0))
  expect(rates.perSecond('events')).toBeUndefined()
  rates.add(1_000, counts(10))
  rates.add(2_000, counts(30))
  expect([rates.perSecond('events'), rates.lastPerSecond('events')]).toEqual([15, 20])
  for (let at = 3; at <= 20; at++) rates.add(at * 1_000, counts(30))
  expect(rates.perSecond('events')).toBe(0)
})

it('is never negative: a restarted counter counts from 0', () => {
  const rates = new Rates()
  rates.add(0, counts(100))
  rates.add(1_000, counts(7))
  expect(rates.perSecond('events')).toBe(7)
  expect(rates.perSecond('nothing')).toBe(0)
  fc.assert(
    fc.property(fc.array(fc.nat()), (values) => {
      const each = new Rates()
      values.forEach((value, at) => each.add(at * 1_000, counts(value)))
      expect(each.perSecond('events') ?? 0).toBeGreaterThanOrEqual(0)
    }),
  )
})

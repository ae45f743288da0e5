import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextByTime, type OrderedMember } from './next-by-time.ts'

const aMember: fc.Arbitrary<OrderedMember> = fc.record({
  time: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
  since: fc.nat({ max: 3 }),
  emptySince: fc.integer({ min: -1, max: 3 }),
  rank: fc.nat({ max: 2 }),
  isInFlight: fc.boolean(),
})

test('the earliest record goes next, at equal times that of the lowest rank', () => {
  fc.assert(
    fc.property(fc.array(aMember, { maxLength: 4 }), (members) => {
      const { earliest } = nextByTime(members)
      const withRecord = members.flatMap(({ time, rank }) => (time === undefined ? [] : [{ time, rank }]))
      const [first] = withRecord.toSorted((a, b) => a.time - b.time || a.rank - b.rank)
      expect(earliest === undefined ? undefined : { time: earliest.time, rank: earliest.rank }).toEqual(first)
    }),
  )
})

test('it waits for exactly the others that have events in flight, and for those that may still get an earlier record', () => {
  fc.assert(
    fc.property(fc.array(aMember, { maxLength: 4 }), (members) => {
      const { earliest, inFlight, unknown } = nextByTime(members)
      if (earliest === undefined) expect([inFlight, unknown]).toEqual([[], []])
      if (earliest === undefined) return
      const others = members.filter((member) => member !== earliest)
      for (const other of others) {
        expect(inFlight.includes(other)).toBe(other.isInFlight)
        const mayGetMore = other.time === undefined && !(other.emptySince >= earliest.since)
        expect(unknown.includes(other)).toBe(mayGetMore)
      }
    }),
  )
})

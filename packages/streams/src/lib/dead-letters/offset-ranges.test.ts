import fc from 'fast-check'
import { expect, it } from 'vitest'
import { OffsetRanges } from './offset-ranges.ts'

const offsets = fc.array(fc.nat(60), { maxLength: 40 })

it('holds exactly the added offsets, in any portions, even after a round trip through text', () => {
  fc.assert(
    fc.property(fc.array(offsets, { maxLength: 5 }), fc.nat(20), (portions, below) => {
      const model = new Set(portions.flat())
      for (let offset = 0; offset < below; offset++) model.add(offset)
      const ranges = portions.reduce((sum, portion) => sum.with(portion), OffsetRanges.none).withAllBelow(below)
      const read = OffsetRanges.parse(ranges.toString())
      for (let offset = 0; offset <= 61; offset++) {
        expect(ranges.has(offset)).toBe(model.has(offset))
        expect(read?.has(offset)).toBe(model.has(offset))
      }
      expect(ranges.last).toBe(Math.max(-1, ...model))
    }),
  )
})

it('is as short as possible', () => {
  expect(String(OffsetRanges.none.with([5, 1, 2, 3, 9, 2]))).toBe('1-3,5,9')
  expect(String(OffsetRanges.none.with([5, 9]).withAllBelow(6))).toBe('0-5,9')
})

it.each(['x', '1-', '3-1', '-1', '1,,2', '1.5'])('does not read %j', (text) => {
  expect(OffsetRanges.parse(text)).toBeUndefined()
})

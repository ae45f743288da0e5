import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatByteSize, parseByteSize } from './byte-size.ts'

test.each([
  [12, 12],
  ['12', 12],
  ['12b', 12],
  ['1kb', 1024],
  ['32mb', 33_554_432],
  ['0.5 GB', 536_870_912],
])('%j is %d bytes', (value, bytes) => {
  expect(parseByteSize(value, 'x')).toBe(bytes)
})

test.each([-1, 1.5, '1.5', NaN, '1tb', '', 'mb', null, '-1kb'])(
  '%j is refused with the name of the setting',
  (value) => {
    expect(() => parseByteSize(value, 'setting cacheBytes')).toThrow(
      expect.objectContaining({ code: 'SIZE_INVALID', detail: expect.stringContaining('setting cacheBytes') }),
    )
  },
)

test('a formatted value can be read back', () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(1, 1024, 1024 ** 2), (count, unit) => {
      expect(parseByteSize(formatByteSize(count * unit), 'x')).toBe(count * unit)
    }),
  )
  expect(formatByteSize(33_554_432)).toBe('32mb')
})

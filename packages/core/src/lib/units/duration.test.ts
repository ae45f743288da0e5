import fc from 'fast-check'
import { expect, expectTypeOf, test } from 'vitest'
import { duration, formatDuration, parseDuration, type Duration } from './duration.ts'

test.each([
  [250, 250],
  ['250ms', 250],
  ['10s', 10_000],
  ['5m', 300_000],
  ['1.5h', 5_400_000],
  ['1d', 86_400_000],
  [' 2 S ', 2000],
  ['40', 40],
  [0, 0],
])('%j is %d ms', (value, ms) => {
  expect(parseDuration(value, 'setting x')).toBe(ms)
})

test.each([-1, '-1s', NaN, Infinity, '', '1w', 's', '1s2', null, undefined, {}, '1e3'])(
  '%j is refused with the name of the setting',
  (value) => {
    expect(() => parseDuration(value, 'timer "tick"')).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID', detail: expect.stringContaining('timer "tick"') }),
    )
  },
)

test('text from the environment is read as a duration or refused', () => {
  const text: string = '1.5h'
  expectTypeOf(duration(text)).toEqualTypeOf<Duration>()
  expect(duration(text)).toBe(5_400_000)
  expect(duration('250')).toBe(250)
  expect(() => duration('soon')).toThrow("DURATION_INVALID: The duration of duration() is 'soon'.")
})

test('a formatted value can be read back', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.nat(),
        fc.nat(400).map((days) => days * 86_400_000),
        fc.nat(9999).map((s) => s * 1000),
      ),
      (ms) => {
        expect(parseDuration(formatDuration(ms), 'x')).toBe(ms)
      },
    ),
  )
  expect([0, 999, 1000, 90_000, 3_600_000, 86_400_000].map(formatDuration)).toEqual([
    '0ms',
    '999ms',
    '1s',
    '90s',
    '1h',
    '1d',
  ])
})

test('the type accepts numbers and text with units', () => {
  expectTypeOf<'10s'>().toExtend<Duration>()
  expectTypeOf<'10'>().not.toExtend<Duration>()
  expectTypeOf<'10 weeks'>().not.toExtend<Duration>()
})

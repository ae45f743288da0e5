import { expect, test } from 'vitest'
import { readPosition } from './typed-values.ts'

const now = Date.parse('2026-03-01T12:00:00Z')

test.each([
  ['beginning', 'beginning'],
  ['end', 'end'],
  ['6h', { timestampMs: now - 6 * 3_600_000 }],
  ['2026-03-01T08:00Z', { timestampMs: now - 4 * 3_600_000 }],
  ['2026-03-01', { timestampMs: now - 12 * 3_600_000 }],
])('%s', (text, place) => {
  expect(readPosition('--to', text, now)).toEqual(place)
})

test.each([
  '',
  'latest',
  '17',
  '-6h',
  'March',
  '2026-13-01',
  '2027-01-01',
  '99999999999999999999d',
  '2026-03-01T08:00Zoo',
])('"%s" is no place', (text) => {
  expect(() => readPosition('--to', text, now)).toThrow(/COMMAND_USAGE.*--to.*beginning/s)
})

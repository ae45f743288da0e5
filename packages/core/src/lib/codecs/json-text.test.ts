import { expect, test } from 'vitest'
import { jsonText } from './json-text.ts'

test.each<[string, unknown, string]>([
  ['nothing', undefined, 'null'],
  ['a number', 1.5, '1.5'],
  ['what is no number', NaN, 'null'],
  ['a big integer', 12345678901234567890n, '"12345678901234567890"'],
  ['bytes', Buffer.from('abc'), '"YWJj"'],
  ['bytes within', { a: [new Uint8Array([1, 2])] }, '{"a":["AQI="]}'],
  ['a set', new Set(['b', 'a']), '["b","a"]'],
  ['a map', new Map([['k', 1n]]), '[["k","1"]]'],
  ['a date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ['what looks like a buffer', { type: 'Buffer', data: [1] }, '{"type":"Buffer","data":[1]}'],
  ['a key of a hostile name', { ['__proto__']: 1 }, '{"__proto__":1}'],
])('%s', (_what, value, text) => {
  expect(jsonText(value)).toBe(text)
})

test('a circular value throws', () => {
  const ring: Record<string, unknown> = {}
  ring['self'] = ring
  expect(() => jsonText(ring)).toThrow(TypeError)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, json, jsonCodec } from './json-codec.ts'
import { DEEPEST, isTooDeep } from './nesting.ts'
import { resolveCodec } from './resolve-codec.ts'
import { showBytes } from './show-bytes.ts'

const nested = (depth: number): unknown => JSON.parse(textOf(depth))
const textOf = (depth: number): string => `${'[{"a":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`

test('the limit on nesting applies to encoding and decoding', () => {
  const deepest = nested(DEEPEST)
  for (const codec of [jsonCodec, jsonCodec.forKeys, jsonCodec.forRows]) {
    expect(codec.decode(codec.encode(deepest))).toEqual(deepest)
    for (const depth of [DEEPEST + 2, 2_000, 20_000, 200_000]) {
      expect(() => codec.encode(nested(depth))).toThrow(`nested more than ${DEEPEST} deep`)
      expect(() => codec.decode(Buffer.from(textOf(depth)))).toThrow(`nested more than ${DEEPEST} deep`)
    }
  }
  expect(() => canonicalJson(nested(20_000))).toThrow('nested more than')
})

test("the error of a topic's codec names the topic", () => {
  const { decode, encode } = resolveCodec(json(), 'value', 'topic "orders"')
  const bytes = Buffer.from(textOf(20_000))
  expect(() => decode(bytes)).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED', message: expect.stringContaining('"orders"') }),
  )
  expect(() => Reflect.apply(encode, undefined, [nested(20_000)])).toThrow(
    expect.objectContaining({ code: 'ENCODE_FAILED' }),
  )
})

test('brackets inside text do not count as nesting', () => {
  const quiet = '["\\"[[[", "\\\\", "{{{"]'
  expect(isTooDeep(`[${Array.from({ length: 1_000 }, () => quiet).join(',')}]`)).toBe(false)
  expect(isTooDeep(JSON.stringify('['.repeat(5_000)))).toBe(false)
  // Ends within texts take nothing away.
  expect(isTooDeep('["]}]",'.repeat(DEEPEST + 1))).toBe(true)
  expect(isTooDeep('["\\\\",'.repeat(DEEPEST + 1))).toBe(true)
  const depthOf = (value: unknown): number =>
    typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }),
      fc.integer({ min: DEEPEST - 4, max: DEEPEST + 2 }),
      (value, around) => {
        const text = `${'['.repeat(around)}${JSON.stringify(value)}${']'.repeat(around)}`
        expect(isTooDeep(text)).toBe(around + depthOf(value) > DEEPEST)
      },
    ),
    { numRuns: 50 },
  )
})

test('bytes that their codec cannot show are shown as text', () => {
  const bytes = Buffer.from(textOf(20_000))
  expect(showBytes(bytes, jsonCodec)).toEqual({ as: 'text', value: bytes.toString() })
  const ring: Record<string, unknown> = {}
  ring['self'] = ring
  const odd = { name: 'odd', decode: (given: Buffer) => (given.length > 10 ? JSON.parse(String(given)) : ring) }
  expect(showBytes(bytes, odd)).toEqual({ as: 'text', value: bytes.toString() })
  expect(showBytes(Buffer.from('ring'), odd)).toEqual({ as: 'text', value: 'ring' })
  expect(showBytes(Buffer.from('{"a":[12]}'), jsonCodec)).toEqual({ as: 'json', value: { a: [12] } })
})

import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type { Codec } from '../../contracts/codec.ts'
import { type InputOf, type OutputOf, keyFromText, resolveCodec } from './resolve-codec.ts'
import { json } from './json-codec.ts'

const Word = z.object({ word: z.string(), at: z.string().transform((text) => new Date(text)) })

test('the spec determines the types that are sent and read', () => {
  expectTypeOf(resolveCodec('string', 'key', 'topic "a"')).toEqualTypeOf<Codec<string, string>>()
  expectTypeOf(resolveCodec('bytes', 'value', 'topic "a"')).toEqualTypeOf<Codec<Uint8Array, Buffer>>()
  expectTypeOf<InputOf<typeof Word>>().toEqualTypeOf<{ word: string; at: string }>()
  expectTypeOf<OutputOf<typeof Word>>().toEqualTypeOf<{ word: string; at: Date }>()
  const codec = json(Word)
  expectTypeOf<InputOf<typeof codec>>().toEqualTypeOf<{ word: string; at: string }>()
  expectTypeOf<OutputOf<typeof codec>>().toEqualTypeOf<{ word: string; at: Date }>()
  const typed = json<{ page: string }>()
  expectTypeOf<OutputOf<typeof typed>>().toEqualTypeOf<{ page: string }>()
  // @ts-expect-error a misspelt name is no spec
  expect(() => resolveCodec('sting', 'key', 'topic "a"')).toThrow()
})

test('JSON keys are canonical; JSON values keep the order of their properties', () => {
  const value = { b: 1, a: 2 }
  expect(resolveCodec('json', 'value', 'topic "a"').encode(value).toString()).toBe('{"b":1,"a":2}')
  expect(resolveCodec('json', 'key', 'topic "a"').encode(value).toString()).toBe('{"a":2,"b":1}')
  expect(resolveCodec(json<object>(), 'key', 'topic "a"').encode(value).toString()).toBe('{"a":2,"b":1}')
  expect(
    resolveCodec(z.object({ b: z.number(), a: z.number() }), 'key', 'topic "a"')
      .encode(value)
      .toString(),
  ).toBe('{"a":2,"b":1}')
})

test('errors name the role, the topic or table, and the reason', () => {
  const codec = resolveCodec('number', 'value', 'topic "prices"')
  expect(() => codec.encode(NaN)).toThrow(
    expect.objectContaining({
      code: 'ENCODE_FAILED',
      detail: 'The value for topic "prices", codec number: Expected a finite number, got NaN.',
    }),
  )
  expect(() => codec.decode(Buffer.from('dear'))).toThrow(
    expect.objectContaining({
      code: 'DECODE_FAILED',
      detail: 'The value from topic "prices", codec number: Expected a decimal number, got "dear".',
    }),
  )
  expect(() =>
    resolveCodec(Word, 'value', 'topic "words"').decode(Buffer.from('{"word":1,"at":"2026-01-01"}')),
  ).toThrow(
    expect.objectContaining({
      code: 'SCHEMA_MISMATCH',
      detail: expect.stringContaining('The value from topic "words": word: '),
    }),
  )
  expect(() => resolveCodec('json', 'value', 'topic "words"').decode(Buffer.from('{'))).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED' }),
  )
})

test('a value that is not a codec is refused', () => {
  const resolve = (spec: unknown): unknown => Reflect.apply(resolveCodec, undefined, [spec, 'value', 'table "counts"'])
  for (const spec of ['sting', 'toString', null, undefined, 12, {}, { name: 'half', encode: () => Buffer.from('') }]) {
    expect(() => resolve(spec)).toThrow(
      expect.objectContaining({ code: 'CODEC_UNKNOWN', detail: expect.stringContaining('table "counts"') }),
    )
  }
})

test('a codec that does not return a Buffer is an error', () => {
  const broken = { name: 'broken', encode: () => new Uint8Array(1), decode: () => 1 }
  const codec = Reflect.apply(resolveCodec, undefined, [broken, 'key', 'topic "a"'])
  expect(() => codec.encode(1)).toThrow('codec broken gave no Buffer')
})

test('a key can be typed as text', () => {
  const table = 'table "a"'
  expect(keyFromText(resolveCodec('string', 'key', table), 'häuser', table).toString()).toBe('häuser')
  expect(keyFromText(resolveCodec('number', 'key', table), '1.0', table).toString()).toBe('1')
  expect(keyFromText(resolveCodec('json', 'key', table), '{ "b": 1, "a": 2 }', table).toString()).toBe('{"a":2,"b":1}')
  expect(() => keyFromText(resolveCodec('number', 'key', table), 'one', table)).toThrow(
    expect.objectContaining({ code: 'KEY_INVALID', detail: '"one" is no number key of table "a".' }),
  )
})

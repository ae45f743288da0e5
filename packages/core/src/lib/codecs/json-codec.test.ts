import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type { Codec } from '../../contracts/codec.ts'
import { canonicalJson, json, jsonCodec } from './json-codec.ts'

const jsonOf = (bytes: Buffer): unknown => JSON.parse(bytes.toString())

describe('values', () => {
  test('every JSON value survives encoding and decoding', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(jsonCodec.decode(jsonCodec.encode(value))).toEqual(jsonOf(Buffer.from(JSON.stringify(value))))
      }),
    )
  })

  test.each([
    [undefined, 'undefined.'],
    [() => 1, 'a function.'],
    [Symbol('a'), 'a symbol.'],
    [12n, 'the BigInt 12n.'],
    [{ a: [{ b: 1n }] }, 'the BigInt 1n (at a.0.b).'],
    [{ run() {} }, 'a function (at run).'],
    [[1, undefined], 'undefined (at 1).'],
    [{ rate: NaN }, 'NaN (at rate).'],
    [new Map(), 'a Map.'],
    [{ seen: new Set() }, 'a Set (at seen).'],
    [{ raw: Buffer.from('a') }, 'bytes (at raw).'],
  ])('%o is refused rather than changed', (value, what) => {
    expect(() => jsonCodec.encode(value)).toThrow(`JSON cannot hold ${what}`)
    expect(() => canonicalJson(value)).toThrow(`JSON cannot hold ${what}`)
  })

  test('a value that contains itself is refused', () => {
    const value: { self?: unknown } = {}
    value.self = value
    expect(() => jsonCodec.encode(value)).toThrow('circular')
    expect(() => canonicalJson(value)).toThrow('contains itself')
  })

  test('inherited properties are left out, as in JSON', () => {
    const inherits: object = Object.create({ run: () => 1 }, { a: { value: 1, enumerable: true } })
    expect(jsonCodec.encode(inherits).toString()).toBe('{"a":1}')
    expect(jsonCodec.encode({ run: () => 1, toJSON: () => 'itself' }).toString()).toBe('"itself"')
  })

  test('undefined properties are left out, and dates use toJSON', () => {
    expect(jsonCodec.encode({ a: undefined, at: new Date(0) }).toString()).toBe('{"at":"1970-01-01T00:00:00.000Z"}')
  })
})

describe('keys', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([name, part]) => [name, shuffled(part)]),
    )
  }

  test('equal values give equal bytes, whatever the order of their properties', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value)
        expect(canonicalJson(shuffled(value))).toBe(text)
        expect(canonicalJson(JSON.parse(text))).toBe(text)
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('property names are sorted, including those that look like indexes', () => {
    expect(canonicalJson({ b: 1, '10': 2, a: { d: undefined, c: [{ z: 1, y: 2 }] }, '9': 3 })).toBe(
      '{"10":2,"9":3,"a":{"c":[{"y":2,"z":1}]},"b":1}',
    )
    expect(canonicalJson({ b: new Date(0), a: 1 })).toBe('{"a":1,"b":"1970-01-01T00:00:00.000Z"}')
    expect(
      json(z.object({ b: z.number(), a: z.number() }))
        .forKeys.encode({ b: 1, a: 2 })
        .toString(),
    ).toBe('{"a":2,"b":1}')
  })
})

describe('with a schema', () => {
  const Order = z.object({ id: z.string(), total: z.string().transform(Number), note: z.string().default('none') })
  const codec = json(Order)

  test("the schema's input is sent, and its output is read", () => {
    expectTypeOf(codec).toExtend<
      Codec<{ id: string; total: string; note?: string | undefined }, { id: string; total: number; note: string }>
    >()
    const bytes = codec.encode({ id: 'a', total: '12' })
    expect(jsonOf(bytes)).toEqual({ id: 'a', total: '12' })
    expect(codec.decode(bytes)).toEqual({ id: 'a', total: 12, note: 'none' })
  })

  test('a mismatch names path and message, when sending and when reading', () => {
    const lines = json(z.object({ lines: z.array(z.object({ word: z.string() })) }))
    const wrong = { lines: [{ word: 'a' }, { word: 1 }] }
    const mismatch = expect.objectContaining({
      code: 'SCHEMA_MISMATCH',
      detail: expect.stringMatching(/^lines\.1\.word: .*string.*number/),
    })
    expect(() => Reflect.apply(lines.encode, lines, [wrong])).toThrow(mismatch)
    expect(() => lines.decode(Buffer.from(JSON.stringify(wrong)))).toThrow(mismatch)
  })

  test('an asynchronous schema is refused', async () => {
    const slow = json(z.string().refine(async (word) => word !== 'rejected'))
    const failing = json({
      '~standard': { version: 1, vendor: 'own', validate: () => Promise.reject(new Error('told to nobody')) },
    })
    expect(() => slow.encode('a')).toThrow(expect.objectContaining({ code: 'SCHEMA_ASYNC' }))
    expect(() => failing.decode(Buffer.from('"a"'))).toThrow(expect.objectContaining({ code: 'SCHEMA_ASYNC' }))
    await new Promise((resolve) => setImmediate(resolve))
  })

  test('a long list of issues is shortened', () => {
    const many = json(z.array(z.string()))
    expect(() => many.decode(Buffer.from('[1,2,3,4,5,6,7]'))).toThrow('; and 2 more.')
  })
})

test('a type without a schema is not checked', () => {
  const codec = json<{ page: string }>()
  expectTypeOf(codec.decode).returns.toEqualTypeOf<{ page: string }>()
  expect(codec.decode(Buffer.from('{"page":"/"}'))).toEqual({ page: '/' })
})

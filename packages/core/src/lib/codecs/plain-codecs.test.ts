import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesCodec, numberCodec, stringCodec } from './plain-codecs.ts'

describe('string', () => {
  test('text is encoded as UTF-8 and decodes to the same text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ maxLength: 14 })), (text) => {
        const bytes = stringCodec.encode(text)
        expect(bytes).toEqual(Buffer.from(text, 'utf8'))
        expect(stringCodec.decode(bytes)).toBe(text)
      }),
    )
  })

  test('a replacement character in the text itself is valid', () => {
    expect(stringCodec.decode(stringCodec.encode('a\uFFFDb'))).toBe('a\uFFFDb')
  })

  test('bytes decode only to text that encodes to the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), (array) => {
        const bytes = Buffer.from(array)
        let text: string
        try {
          text = stringCodec.decode(bytes)
        } catch (error) {
          expect(error).toMatchObject({ message: 'The bytes are not UTF-8 text.' })
          return
        }
        expect(stringCodec.encode(text)).toEqual(bytes)
      }),
      { numRuns: 500 },
    )
  })

  test('refuses half a surrogate pair, and anything that is not text', () => {
    expect(() => stringCodec.encode('short \ud800')).toThrow('surrogate')
    expect(() => stringCodec.encode('long enough for the runtime \udc00')).toThrow('surrogate')
    expect(() => Reflect.apply(stringCodec.encode, stringCodec, [12])).toThrow('Expected text, got number.')
  })
})

describe('number', () => {
  test('every finite number survives encoding and decoding', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger()), (value) => {
        expect(numberCodec.decode(numberCodec.encode(value))).toBe(value === 0 ? 0 : value)
      }),
    )
  })

  test.each(['0', '7', '007', '-1', '+1', '1.50', '.5', '5.', '1e3', '-1.5E-7', '123456789012345', '1234567890123456'])(
    'reads %s',
    (text) => {
      expect(numberCodec.decode(Buffer.from(text))).toBe(Number(text))
    },
  )

  test.each(['', ' ', '1 ', 'NaN', 'Infinity', '0x10', '1e999', '1,5', 'one', '--1', '1_000', '１'])(
    'refuses the text %j',
    (text) => {
      expect(() => numberCodec.decode(Buffer.from(text))).toThrow('Expected a decimal number')
    },
  )

  // Digits that two parts of a pattern could take between them: at the square of the length 80 kB held up a worker for 10 s.
  test.each(['', '-', '1.', '.', '1e'])(
    'long digits behind %j that are no number take time by their length',
    (begin) => {
      const refuse = (digits: number): void => {
        expect(() => numberCodec.decode(Buffer.from(`${begin}${'1'.repeat(digits)}x`))).toThrow('Expected a decimal')
      }
      const leastMs = (digits: number): number => {
        const times = Array.from({ length: 9 }, () => {
          const beganMs = performance.now()
          refuse(digits)
          return performance.now() - beganMs
        })
        return Math.min(...times)
      }
      leastMs(10_000)
      // Ten times as long: ten times the time, or a hundred times.
      expect(leastMs(50_000) / leastMs(5_000)).toBeLessThan(40)
    },
  )

  test.each([NaN, Infinity, -Infinity])('refuses to write %d', (value) => {
    expect(() => numberCodec.encode(value)).toThrow('Expected a finite number')
  })
})

describe('bytes', () => {
  test('any view of bytes survives encoding and decoding', () => {
    const bytes = new Uint8Array([0, 1, 2, 3]).subarray(1, 3)
    expect(bytesCodec.decode(bytesCodec.encode(bytes))).toEqual(Buffer.from([1, 2]))
    const buffer = Buffer.from('ab')
    expect(bytesCodec.encode(buffer)).toBe(buffer)
  })

  test('refuses text', () => {
    expect(() => Reflect.apply(bytesCodec.encode, bytesCodec, ['ab'])).toThrow('Expected bytes')
  })
})

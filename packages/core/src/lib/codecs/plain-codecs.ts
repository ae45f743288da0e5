import type { Codec } from '../../contracts/codec.ts'

const REPLACEMENT = '\uFFFD'
const LONGEST_BY_HAND = 12
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * Encodes text as UTF-8. Short ASCII text, as most keys are, is written in a loop, which takes half the time of a call
 * into the runtime. Throws on a lone surrogate, which UTF-8 cannot hold and would change.
 */
export function encodeUtf8(text: string): Buffer {
  const length = text.length
  if (length <= LONGEST_BY_HAND) {
    const bytes = Buffer.allocUnsafe(length)
    let i = 0
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) break
      bytes[i] = code
    }
    if (i === length) return bytes
  }
  const bytes = Buffer.from(text, 'utf8')
  if (bytes.length !== length && LONE_SURROGATE.test(text))
    throw new TypeError('The text has half of a surrogate pair.')
  return bytes
}

/** Decodes UTF-8. Throws on invalid bytes, rather than put replacement characters in their place. */
export function decodeUtf8(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  if (text.includes(REPLACEMENT) && !encodesTo(text, bytes)) throw new TypeError('The bytes are not UTF-8 text.')
  return text
}

function encodesTo(text: string, bytes: Buffer): boolean {
  return Buffer.from(text, 'utf8').equals(bytes)
}

/**
 * Bytes as they are, without a copy: bytes passed to `encode` must not be changed afterwards.
 *
 * @example
 * const images = app.topic('images', { value: 'bytes' })
 */
export const bytesCodec: Codec<Uint8Array, Buffer> = {
  name: 'bytes',
  encode(value) {
    if (Buffer.isBuffer(value)) return value
    if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    throw new TypeError(`Expected bytes (a Buffer or Uint8Array), got ${typeof value}.`)
  },
  decode: (bytes) => bytes,
}

/**
 * Text as UTF-8. Invalid UTF-8 and text with lone surrogates are refused, because neither would survive a round trip.
 *
 * @example
 * stringCodec.encode('häuser')
 */
export const stringCodec: Codec<string> = {
  name: 'string',
  encode(value) {
    if (typeof value !== 'string') throw new TypeError(`Expected text, got ${value === null ? 'null' : typeof value}.`)
    return encodeUtf8(value)
  },
  decode: decodeUtf8,
}

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const MOST_SAFE_DIGITS = 15
const DIGIT_0 = 48

/**
 * A finite number as decimal text, the shortest that reads back as the same number (`-0` becomes `0`). Refuses NaN,
 * infinities, and bytes that are anything but one decimal number.
 *
 * @example
 * numberCodec.encode(12.5).toString() // '12.5'
 */
export const numberCodec: Codec<number> = {
  name: 'number',
  encode(value) {
    if (typeof value !== 'number')
      throw new TypeError(`Expected a number, got ${value === null ? 'null' : typeof value}.`)
    if (!Number.isFinite(value)) throw new TypeError(`Expected a finite number, got ${value}.`)
    return encodeUtf8(String(value))
  },
  decode(bytes) {
    return wholeNumber(bytes) ?? anyNumber(bytes)
  },
}

/** Reads plain digits, as counts have, without making a string of them. */
function wholeNumber(bytes: Buffer): number | undefined {
  if (bytes.length === 0 || bytes.length > MOST_SAFE_DIGITS) return undefined
  let value = 0
  for (const byte of bytes) {
    const digit = byte - DIGIT_0
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return value
}

function anyNumber(bytes: Buffer): number {
  const text = bytes.toString('latin1')
  const value = DECIMAL.test(text) ? Number(text) : Number.NaN
  if (!Number.isFinite(value))
    throw new TypeError(`Expected a decimal number, got ${JSON.stringify(text.slice(0, 40))}.`)
  return value
}

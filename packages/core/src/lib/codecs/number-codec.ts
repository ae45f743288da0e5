import type { Codec } from '../../contracts/codec.ts'
import { encodeUtf8 } from './utf8.ts'

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
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

/** Plain digits, which counts are, without making a string of them. */
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

import type { Codec } from '../../contracts/codec.ts'
import { decodeUtf8, encodeUtf8 } from './utf8.ts'

/**
 * Text as UTF-8. Bytes that are not UTF-8 and text with lone surrogates are refused: neither would survive a round trip.
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

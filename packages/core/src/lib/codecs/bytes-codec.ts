import type { Codec } from '../../contracts/codec.ts'

/**
 * Bytes as they are, without a copy: what is given to `encode` must not be changed afterwards.
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

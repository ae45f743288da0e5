import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from './crc32c.ts'

test('computes the known check value, and 0 for no bytes', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(0))).toBe(0)
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
})

test('equals a bitwise computation at any alignment', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.integer({ min: 0, max: 9 }), (bytes, offset) => {
      const place = new Uint8Array(offset + bytes.length + 9)
      place.set(bytes, offset)
      expect(crc32c(place.subarray(offset, offset + bytes.length))).toBe(bitByBit(bytes))
    }),
  )
})

function bitByBit(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}

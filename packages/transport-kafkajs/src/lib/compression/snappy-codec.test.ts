import fc from 'fast-check'
import snappy from 'snappy'
import { expect, test } from 'vitest'
import { snappyCodec } from './snappy-codec.ts'

const codec = snappyCodec({
  compress: (data) => snappy.compressSync(data),
  decompress: (data) => Buffer.from(snappy.uncompressSync(data)),
})

test('gives back what went in, over several blocks too', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 600 }), (bytes, times) => {
      const data = Buffer.concat(Array.from({ length: times }, () => bytes))
      expect(codec.decompress(codec.compress(data)).equals(data)).toBe(true)
    }),
    { numRuns: 30 },
  )
})

test('reads a raw block, as some clients write', () => {
  const data = Buffer.from('some text, some text, some text')
  expect(codec.decompress(snappy.compressSync(data)).toString()).toBe(data.toString())
})

import fc from 'fast-check'
import snappy from 'snappy'
import { expect, test } from 'vitest'
import { boundedCodec } from './installed-codecs.ts'
import { snappyCodec } from './snappy-codec.ts'
import { snappySize } from './unpacked-size.ts'

const MOST = 1 << 20
const blocks = boundedCodec(
  {
    compress: (data) => snappy.compressSync(data),
    decompress: (data) => snappy.uncompressSync(data),
    decompressAside: (data) => snappy.uncompress(data),
  },
  snappySize,
)
const codec = snappyCodec(blocks)

test('decompresses to the original data, even over several blocks', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 600 }), async (bytes, times) => {
      const data = Buffer.concat(Array.from({ length: times }, () => bytes))
      const packed = codec.compress(data)
      expect(codec.decompress(packed, MOST)?.equals(data)).toBe(true)
      expect((await codec.decompressAside(packed, data.length))?.equals(data)).toBe(true)
      if (data.length > 0) expect(codec.decompress(packed, data.length - 1)).toBeUndefined()
    }),
    { numRuns: 30 },
  )
})

test('reads a raw block, as some clients write', () => {
  const data = Buffer.from('some text, some text, some text')
  expect(codec.decompress(snappy.compressSync(data), MOST)?.toString()).toBe(data.toString())
})

import { Encoder } from '@toondepauw/node-zstd'
import fc from 'fast-check'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { expect, test } from 'vitest'
import { gzipCodec } from './compression.ts'
import { boundedCodec } from './installed-codecs.ts'
import { lz4Size, snappySize, zstdSize, type UnpackedSize } from './unpacked-size.ts'

/** Repetitive data, random data, and some of both. */
const data = fc
  .tuple(fc.uint8Array({ maxLength: 2000 }), fc.integer({ min: 0, max: 400 }), fc.uint8Array({ maxLength: 2000 }))
  .map(([part, times, rest]) => Buffer.concat([...Array.from({ length: times }, () => part), rest]))

const MB = 1 << 20
/** The largest block of each codec, by which the answer may be too large. */
const codecs: readonly (readonly [string, (data: Buffer) => Buffer, UnpackedSize, number])[] = [
  ['snappy', (bytes) => snappy.compressSync(bytes), snappySize, 0],
  ['lz4', (bytes) => Buffer.from(lz4.compressFrameSync(bytes)), lz4Size, 4 * MB],
  ['zstd', (bytes) => new Encoder(3).encodeSync(bytes), zstdSize, MB / 8],
]

test.each(codecs)('%s: never less than the unpacked size, and hardly more', (_name, compress, sizeOf, slack) => {
  fc.assert(
    fc.property(data, (bytes) => {
      const size = sizeOf(compress(bytes))
      expect(size).toBeGreaterThanOrEqual(bytes.length)
      expect(size).toBeLessThanOrEqual(bytes.length + slack)
    }),
    { numRuns: 50 },
  )
})

test.each(codecs)(
  '%s: a truncated frame causes no error, and its size is never more than that of the whole frame',
  (_name, compress, sizeOf) => {
    fc.assert(
      fc.property(data, fc.double({ min: 0, max: 1, noNaN: true }), (bytes, share) => {
        const packed = compress(bytes)
        const size = sizeOf(packed.subarray(0, Math.floor(packed.length * share)))
        if (size !== undefined) expect(size).toBeLessThanOrEqual(sizeOf(packed) ?? 0)
      }),
      { numRuns: 50 },
    )
  },
)

test('two zstd frames with a skippable frame between them are counted together', () => {
  const frame = new Encoder(3).encodeSync(Buffer.alloc(1000))
  const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
  const size = zstdSize(frame) ?? 0
  expect(zstdSize(Buffer.concat([frame, skipped, frame]))).toBe(2 * size)
})

test('a claimed size beyond the limit is refused before anything is unpacked', () => {
  const calls: number[] = []
  const bare = {
    compress: (bytes: Buffer) => bytes,
    decompress: (bytes: Buffer) => {
      calls.push(bytes.length)
      return bytes
    },
    decompressAside: (bytes: Buffer) => bytes,
  }
  // A claim of 4 GB in five bytes.
  const bomb = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])
  expect(boundedCodec(bare, snappySize).decompress(bomb, 64 * MB)).toBeUndefined()
  expect(() => boundedCodec(bare, lz4Size).decompress(bomb, 64 * MB)).toThrow(/frame format/)
  expect(calls).toEqual([])
})

test('gzip stops at the limit', async () => {
  const bomb = gzipCodec.compress(Buffer.alloc(20 * MB))
  expect(bomb.length).toBeLessThan(MB / 40)
  expect(gzipCodec.decompress(bomb, 20 * MB - 1)).toBeUndefined()
  expect(gzipCodec.decompress(bomb, 20 * MB)?.length).toBe(20 * MB)
  expect(await gzipCodec.decompressAside(bomb, 20 * MB - 1)).toBeUndefined()
  expect((await gzipCodec.decompressAside(bomb, 20 * MB))?.length).toBe(20 * MB)
  await expect(gzipCodec.decompressAside(bomb.subarray(0, 100), MB)).rejects.toThrow()
})

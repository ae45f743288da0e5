/**
 * The most bytes to which compressed data can unpack, read from its frames without unpacking: for codecs that allocate
 * what a frame claims. `undefined` if the data does not have the expected frames.
 */
export type UnpackedSize = (data: Buffer) => number | undefined

/** The size of a raw snappy block, which begins with its length. */
export function snappySize(data: Buffer): number | undefined {
  let length = 0
  for (let at = 0; at < 5; at++) {
    const byte = data[at]
    if (byte === undefined) return undefined
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return length
  }
  return undefined
}

const LZ4_MAGIC = 0x184d2204
const LZ4_BLOCK_CHECKSUMS = 0x10
const LZ4_CONTENT_SIZE = 0x08
const LZ4_CONTENT_CHECKSUM = 0x04
const LZ4_DICTIONARY = 0x01
const LZ4_RAW = 0x8000_0000
/** A byte of a block extends a match by at most 255 bytes. */
const LZ4_BEST_RATIO = 255

/** The size of LZ4 frames: the sum of their blocks, each as large as the frame allows. */
export function lz4Size(data: Buffer): number | undefined {
  let size = 0
  let at = 0
  while (at < data.length) {
    if (at + 7 > data.length || data.readUInt32LE(at) !== LZ4_MAGIC) return undefined
    const flags = data.readUInt8(at + 4)
    const blockBytes = 2 ** (8 + 2 * ((data.readUInt8(at + 5) >> 4) & 0x07))
    at += 7 + ((flags & LZ4_CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & LZ4_DICTIONARY) === 0 ? 0 : 4)
    for (;;) {
      if (at + 4 > data.length) return undefined
      const header = data.readUInt32LE(at)
      at += 4
      if (header === 0) break
      const length = header % LZ4_RAW
      size += header >= LZ4_RAW ? length : Math.min(blockBytes, length * LZ4_BEST_RATIO)
      at += length + ((flags & LZ4_BLOCK_CHECKSUMS) === 0 ? 0 : 4)
    }
    if ((flags & LZ4_CONTENT_CHECKSUM) !== 0) at += 4
  }
  return size
}

const ZSTD_MAGIC = 0xfd2fb528
const ZSTD_SKIPPABLE = 0x184d2a5
const ZSTD_SINGLE_SEGMENT = 0x20
const ZSTD_CHECKSUM = 0x04
const ZSTD_BLOCK_BYTES = 128 * 1024
const ZSTD_DICTIONARY_BYTES = [0, 1, 2, 4]
const ZSTD_SIZE_BYTES = [0, 2, 4, 8]
const RLE = 1
const RESERVED = 3
const COMPRESSED = 2

/**
 * The size of Zstandard frames: the size that they claim, or otherwise the sum of their blocks, each at its largest.
 */
export function zstdSize(data: Buffer): number | undefined {
  let size = 0
  let at = 0
  while (at < data.length) {
    if (at + 5 > data.length) return undefined
    const magic = data.readUInt32LE(at)
    if (magic >>> 4 === ZSTD_SKIPPABLE) {
      if (at + 8 > data.length) return undefined
      at += 8 + data.readUInt32LE(at + 4)
      continue
    }
    if (magic !== ZSTD_MAGIC) return undefined
    const flags = data.readUInt8(at + 4)
    const single = (flags & ZSTD_SINGLE_SEGMENT) !== 0
    at += 5 + (single ? 0 : 1) + (ZSTD_DICTIONARY_BYTES[flags & 0x03] ?? 0)
    const sizeBytes = flags >>> 6 === 0 && single ? 1 : (ZSTD_SIZE_BYTES[flags >>> 6] ?? 0)
    if (at + sizeBytes > data.length) return undefined
    const claimed = sizeBytes === 0 ? undefined : readClaim(data, at, sizeBytes)
    at += sizeBytes
    let ofBlocks = 0
    for (let last = false; !last;) {
      if (at + 3 > data.length) return undefined
      const header = data.readUIntLE(at, 3)
      const kind = (header >> 1) & 0x03
      const length = header >> 3
      if (kind === RESERVED) return undefined
      last = (header & 1) === 1
      ofBlocks += kind === COMPRESSED ? ZSTD_BLOCK_BYTES : length
      at += 3 + (kind === RLE ? 1 : length)
    }
    size += claimed ?? ofBlocks
    if ((flags & ZSTD_CHECKSUM) !== 0) at += 4
  }
  return size
}

/** A claim of two bytes counts from 256. A claim of eight bytes beyond the safe integers is too large anyway. */
function readClaim(data: Buffer, at: number, bytes: number): number {
  if (bytes === 8) return data.readUInt32LE(at) + data.readUInt32LE(at + 4) * 2 ** 32
  return data.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0)
}

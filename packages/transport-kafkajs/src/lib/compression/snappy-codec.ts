import type { CompressionCodec } from './compression.ts'

/** How Java's snappy library frames its streams, which Kafka took over: a magic, two versions, then blocks with lengths. */
const MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const HEADER_BYTES = 16
const BLOCK_BYTES = 32 << 10

/** Snappy as Kafka's clients write and read it, from a codec of raw blocks. */
export function snappyCodec(blocks: CompressionCodec): CompressionCodec {
  return {
    compress: (data) => {
      const header = Buffer.alloc(HEADER_BYTES)
      MAGIC.copy(header)
      header.writeInt32BE(1, 8)
      header.writeInt32BE(1, 12)
      const parts: Buffer[] = [header]
      for (let at = 0; at < data.length; at += BLOCK_BYTES) {
        const block = blocks.compress(data.subarray(at, at + BLOCK_BYTES))
        const length = Buffer.alloc(4)
        length.writeInt32BE(block.length)
        parts.push(length, block)
      }
      return Buffer.concat(parts)
    },
    decompress: (data, maxBytes) => {
      const parts: Buffer[] = []
      let room = maxBytes
      for (const block of blocksOf(data)) {
        const part = blocks.decompress(block, room)
        if (part === undefined) return undefined
        room -= part.length
        parts.push(part)
      }
      return joined(parts)
    },
    decompressAside: async (data, maxBytes) => {
      const parts: Buffer[] = []
      let room = maxBytes
      for (const block of blocksOf(data)) {
        const part = await blocks.decompressAside(block, room)
        if (part === undefined) return undefined
        room -= part.length
        parts.push(part)
      }
      return joined(parts)
    },
  }
}

/** Some clients write one raw block instead of a stream of them. */
function* blocksOf(data: Buffer): Generator<Buffer, void, undefined> {
  if (data.length < HEADER_BYTES || !data.subarray(0, MAGIC.length).equals(MAGIC)) return yield data
  let at = HEADER_BYTES
  while (at < data.length) {
    const length = data.readInt32BE(at)
    if (length < 0 || at + 4 + length > data.length) throw new RangeError('A snappy block is cut off.')
    yield data.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
}

function joined(parts: readonly Buffer[]): Buffer {
  const [first] = parts
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts)
}

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
    decompress: (data) => {
      // Some clients write one raw block.
      if (data.length < HEADER_BYTES || !data.subarray(0, MAGIC.length).equals(MAGIC)) return blocks.decompress(data)
      const parts: Buffer[] = []
      let at = HEADER_BYTES
      while (at < data.length) {
        const length = data.readInt32BE(at)
        parts.push(blocks.decompress(data.subarray(at + 4, at + 4 + length)))
        at += 4 + length
      }
      return Buffer.concat(parts)
    },
  }
}

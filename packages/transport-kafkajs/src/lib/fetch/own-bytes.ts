/**
 * The bytes of one partition, without the rest of the answer that they came in: as long as somebody works on a few records
 * of a slow partition, the memory of all others that were fetched with them would stay. Copied only where they are the
 * lesser part of it.
 */
export function ownBytes(data: Buffer): Buffer {
  if (data.length * 2 >= data.buffer.byteLength) return data
  // Of its own: Node takes small buffers from a pool, of which one would keep all (64 kB since Node 24).
  const own = Buffer.allocUnsafeSlow(data.length)
  data.copy(own)
  return own
}

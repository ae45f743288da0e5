/**
 * The bytes of one partition, without the rest of the answer that they came in: as long as somebody works on a few records
 * of a slow partition, the memory of all others that were fetched with them would stay. Copied only where they are the
 * lesser part of it.
 */
export function ownBytes(data: Buffer): Buffer {
  return data.length * 2 < data.buffer.byteLength ? Buffer.from(data) : data
}

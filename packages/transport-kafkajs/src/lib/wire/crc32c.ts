/** CRC-32C (Castagnoli), eight bytes a step: the check sum of record batches. */
export function crc32c(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES
  let crc = 0xffffffff
  let i = 0
  // Indexes below are bounded by & 0xff and by the loop, so the fallbacks never apply; they satisfy the type checker
  // at no cost in compiled code that always finds an element.
  for (const end = bytes.length - 7; i < end; i += 8) {
    const low =
      crc ^ ((bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24))
    crc =
      (t7[low & 0xff] ?? 0) ^
      (t6[(low >>> 8) & 0xff] ?? 0) ^
      (t5[(low >>> 16) & 0xff] ?? 0) ^
      (t4[low >>> 24] ?? 0) ^
      (t3[bytes[i + 4] ?? 0] ?? 0) ^
      (t2[bytes[i + 5] ?? 0] ?? 0) ^
      (t1[bytes[i + 6] ?? 0] ?? 0) ^
      (t0[bytes[i + 7] ?? 0] ?? 0)
  }
  for (; i < bytes.length; i++) crc = (t0[(crc ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

type Tables = readonly [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]

const TABLES: Tables = buildTables()

function buildTables(): Tables {
  const first = new Int32Array(256)
  for (let n = 0; n < 256; n++) {
    let value = n
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
    first[n] = value
  }
  const following = (previous: Int32Array): Int32Array =>
    previous.map((value) => (first[value & 0xff] ?? 0) ^ (value >>> 8))
  const second = following(first)
  const third = following(second)
  const fourth = following(third)
  const fifth = following(fourth)
  const sixth = following(fifth)
  const seventh = following(sixth)
  return [first, second, third, fourth, fifth, sixth, seventh, following(seventh)]
}

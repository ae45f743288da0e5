import { crc32 } from 'node:zlib'
import { isLong, physicalKey, physicalValue, type PhysicalRow } from './physical-key.ts'

const CHECKSUM_BYTES = 4

/** The seed of a database's checksums, so that a row from another database is invalid. */
export function seedOf(database: string): number {
  return crc32(database)
}

/** A row in its stored form: its value ends in a checksum over key and value. */
export function checkedRow(key: Buffer, value: Buffer, seed: number): PhysicalRow {
  const physical = physicalKey(key)
  const stored = isLong(physical) ? physicalValue(key, value) : value
  const end = physical.length + stored.length
  // Key and value are adjacent, so that one call covers both: most of the cost of a checksum is the call.
  const row = Buffer.allocUnsafe(end + CHECKSUM_BYTES)
  row.set(physical)
  row.set(stored, physical.length)
  row.writeUInt32LE(crc32(row.subarray(0, end), seed), end)
  return { key: physical, value: row.subarray(physical.length) }
}

/** The value of a row that was read, without its checksum; `undefined` if it is not as written. */
export function checkedValue({ key, value }: PhysicalRow, seed: number): Buffer | undefined {
  const end = value.length - CHECKSUM_BYTES
  if (end < 0) return undefined
  const stored = value.subarray(0, end)
  return crc32(stored, crc32(key, seed)) === value.readUInt32LE(end) ? stored : undefined
}

/** Whether key, value and checksum in one piece are as written. */
export function isSound(row: Buffer, seed: number): boolean {
  const end = row.length - CHECKSUM_BYTES
  return end >= 0 && crc32(row.subarray(0, end), seed) === row.readUInt32LE(end)
}

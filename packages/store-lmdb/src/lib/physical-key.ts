import { createHash } from 'node:crypto'

/** How many bytes of a key are part of LMDB's key, which may have 1,978. */
const KEPT = 1900
const HASH_BYTES = 32
const LENGTH_BYTES = 4
/** Each key has a leading byte, because LMDB refuses empty keys. */
const TAG = Buffer.from([0])

/** A row as LMDB stores it. When a key is too long, a hash replaces its end, and the end is kept in front of the value. */
export interface PhysicalRow {
  readonly key: Buffer
  readonly value: Buffer
}

/** LMDB's key of a row: sorted like the keys, except for long ones that agree in all bytes kept. */
export function physicalKey(key: Buffer): Buffer {
  if (key.length <= KEPT) return Buffer.concat([TAG, key])
  return Buffer.concat([TAG, key.subarray(0, KEPT), createHash('sha256').update(key).digest()])
}

export function isLong(physical: Buffer): boolean {
  return physical.length === TAG.length + KEPT + HASH_BYTES
}

export function physicalValue(key: Buffer, value: Buffer): Buffer {
  if (key.length <= KEPT) return value
  const end = key.subarray(KEPT)
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(end.length)
  return Buffer.concat([length, end, value])
}

/** The value of a row whose key is known. */
export function valueOf(key: Buffer, stored: Buffer): Buffer {
  return key.length <= KEPT ? stored : stored.subarray(LENGTH_BYTES + key.length - KEPT)
}

/** Key and value of a row. */
export function logicalRow({ key, value }: PhysicalRow): readonly [key: Buffer, value: Buffer] {
  if (!isLong(key)) return [key.subarray(TAG.length), value]
  const end = LENGTH_BYTES + value.readUInt32BE(0)
  return [
    Buffer.concat([key.subarray(TAG.length, TAG.length + KEPT), value.subarray(LENGTH_BYTES, end)]),
    value.subarray(end),
  ]
}

/** The common part of long keys that agree in all bytes kept. */
export function sharedPart(physical: Buffer): Buffer {
  return physical.subarray(0, TAG.length + KEPT)
}

/** Where to start reading so that no key from `from` on is missed. */
export function physicalStart(from: Buffer | undefined): Buffer {
  return from === undefined ? TAG : Buffer.concat([TAG, from.subarray(0, KEPT)])
}

/** Where to stop reading so that no key before `to` is missed; `undefined` reads to the end. */
export function physicalEnd(to: Buffer | undefined): Buffer | undefined {
  if (to === undefined) return undefined
  if (to.length <= KEPT) return Buffer.concat([TAG, to])
  return Buffer.concat([TAG, to.subarray(0, KEPT), Buffer.alloc(HASH_BYTES + 1, 0xff)])
}

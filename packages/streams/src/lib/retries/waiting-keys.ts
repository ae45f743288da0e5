import { showKey } from '@millrace/state'
import { type EventPlace, idOfPlace } from '../events/replay-mark.ts'

const FIRST = Buffer.from('h')
const BEHIND = Buffer.from('b')
const OF_KEY = Buffer.from('k')
const ALONE = Buffer.from('p')

/**
 * The row of the first waiting event of a key. An event that waits alone, because it has no key or the order of keys does not
 * count, has a row by its place.
 */
export function firstRow(place: EventPlace, key: Buffer | null): Buffer {
  return key === null ? Buffer.concat([FIRST, ALONE, Buffer.from(idOfPlace(place))]) : firstRowOf(key)
}

/** The row of the first waiting event of this key. */
export function firstRowOf(key: Buffer): Buffer {
  return Buffer.concat([FIRST, OF_KEY, key])
}

/** Whether a row of the changelog is that of an event that is due at a time, rather than one behind it, or bookkeeping. */
export function isFirstRow(row: Buffer): boolean {
  return row[0] === FIRST[0]
}

/** The row of the nth event behind the first one of a key, whose row is `first`. */
export function rowBehind(first: Buffer, nth: number): Buffer {
  const group = first.subarray(FIRST.length)
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(group.length)
  const number = Buffer.allocUnsafe(8)
  number.writeBigUInt64BE(BigInt(nth))
  return Buffer.concat([BEHIND, length, group, number])
}

/** For messages: the key, or the place of an event that waits alone. */
export function showRow(row: Buffer): string {
  return showKey(isFirstRow(row) ? row.subarray(2) : row.subarray(6, row.length - 8))
}

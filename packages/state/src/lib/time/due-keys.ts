const HIGH = 2 ** 32
const TIME_BYTES = 8

/** Rows with these first bytes belong to the index. No text in UTF-8 begins with them. */
export const INTERNAL_PREFIX: Buffer = Buffer.from([0xff, 0xfe])
const INDEX_PREFIX = Buffer.concat([INTERNAL_PREFIX, Buffer.from('d')])
const UNDO_PREFIX = Buffer.concat([INTERNAL_PREFIX, Buffer.from('u')])
/** The row with the number of internal rows. */
export const COUNT_KEY: Buffer = Buffer.concat([INTERNAL_PREFIX, Buffer.from('c')])

const PREFIX_TEXT = INDEX_PREFIX.toString('latin1')

/**
 * An entry of the index: a time, and the row to check then. It is latin1 text, whose code units sort as its bytes do: the
 * earliest entry first.
 */
export type DueEntry = string

/** The first key of the entries, and the first key after them. */
export const FIRST_ENTRY: DueEntry = PREFIX_TEXT
export const AFTER_ENTRIES: DueEntry = `${INTERNAL_PREFIX.toString('latin1')}e`

export function isInternal(key: Buffer): boolean {
  return key.length >= 2 && key[0] === 0xff && key[1] === 0xfe
}

/** `time`: in milliseconds since the epoch. */
export function dueEntry(time: number, row: Buffer): DueEntry {
  return timePrefix(time) + row.toString('latin1')
}

/** Sorts before all entries of this time. */
export function timePrefix(time: number): DueEntry {
  const bytes = Buffer.allocUnsafe(TIME_BYTES)
  bytes.writeUInt32BE(Math.floor(time / HIGH), 0)
  bytes.writeUInt32BE(time % HIGH, 4)
  return PREFIX_TEXT + bytes.toString('latin1')
}

export function timeOf(entry: DueEntry): number {
  const bytes = Buffer.from(entry.slice(PREFIX_TEXT.length, PREFIX_TEXT.length + TIME_BYTES), 'latin1')
  return bytes.readUInt32BE(0) * HIGH + bytes.readUInt32BE(4)
}

/** The row's key. */
export function rowOf(entry: DueEntry): Buffer {
  return Buffer.from(entry.slice(PREFIX_TEXT.length + TIME_BYTES), 'latin1')
}

/** The row in which an entry is kept. */
export function keyOf(entry: DueEntry): Buffer {
  return Buffer.from(entry, 'latin1')
}

/** The key of the nth row of values to be restored. */
export function undoKey(nth: number): Buffer {
  const key = Buffer.allocUnsafe(UNDO_PREFIX.length + 4)
  UNDO_PREFIX.copy(key)
  key.writeUInt32BE(nth, UNDO_PREFIX.length)
  return key
}

/** Where the internal rows end. */
export const AFTER_INTERNAL: Buffer = Buffer.from([0xff, 0xff])

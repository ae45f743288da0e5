import { MillraceError } from '@millrace/core'
import type { Row, StorePartition } from '@millrace/core/driver'
import { undoKey } from './due-keys.ts'

/** How much one row holds, if a single value is not larger. */
const ROW_BYTES = 128 * 1024
const HEADER_BYTES = 8
/** Of each value: the lengths of key and value. */
const LENGTH_BYTES = 8
const ABSENT = 0xffffffff

/** What a row of values to be restored takes in addition to the largest of them. */
export const UNDO_OVERHEAD: number = HEADER_BYTES + LENGTH_BYTES + undoKey(0).length

/** The rows that some commit replaces, as they were before it. `null`: the row was not there. */
interface UndoneRows {
  /** Of the commit that replaces them. */
  readonly commit: number
  readonly rows: readonly Row[]
}

/** The rows, of at most `ROW_BYTES` each, that are to be written before those which replace `rows`. */
export function undoRows({ commit, rows }: UndoneRows): readonly Row[] {
  const written: Row[] = []
  let parts: Buffer[] = []
  let bytes = 0
  const write = (): void => {
    if (parts.length === 0) return
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeDoubleBE(commit)
    written.push({ key: undoKey(written.length), value: Buffer.concat([header, ...parts]) })
    parts = []
    bytes = 0
  }
  for (const { key, value } of rows) {
    const lengths = Buffer.allocUnsafe(LENGTH_BYTES)
    lengths.writeUInt32BE(key.length, 0)
    lengths.writeUInt32BE(value?.length ?? ABSENT, 4)
    const size = LENGTH_BYTES + key.length + (value?.length ?? 0)
    if (bytes > 0 && bytes + size > ROW_BYTES) write()
    parts.push(lengths, key, ...(value === null ? [] : [value]))
    bytes += size
  }
  write()
  return written
}

/** What earlier commits have written of this kind, in order. */
export function storedUndoRows(store: Pick<StorePartition, 'get'>): readonly UndoneRows[] {
  const found: UndoneRows[] = []
  for (;;) {
    const value = store.get(undoKey(found.length))
    if (value === undefined) return found
    found.push(parse(value))
  }
}

function parse(value: Buffer): UndoneRows {
  try {
    const rows: Row[] = []
    for (let at = HEADER_BYTES; at < value.length;) {
      const keyLength = value.readUInt32BE(at)
      const valueLength = value.readUInt32BE(at + 4)
      const keyEnd = at + LENGTH_BYTES + keyLength
      const end = valueLength === ABSENT ? keyEnd : keyEnd + valueLength
      if (end > value.length) throw new RangeError(`it ends at ${value.length}, not at ${end}`)
      rows.push({
        key: value.subarray(at + LENGTH_BYTES, keyEnd),
        value: valueLength === ABSENT ? null : value.subarray(keyEnd, end),
      })
      at = end
    }
    return { commit: value.readDoubleBE(0), rows }
  } catch (error) {
    throw new MillraceError('ROW_UNDECODABLE', 'A row that keeps earlier values of what was due cannot be read.', {
      cause: error,
    })
  }
}

import { crc32 } from 'node:zlib'
import { MillraceError } from '@millrace/core'
import type { Database, RangeOptions } from 'lmdb'

/** Keys of the log's tables, as lmdb writes them. */
export type TableKey = string | string[] | number[] | (string | number)[]

export interface CheckedTableOptions {
  /** Part of each checksum, so that a row from another table is invalid. */
  readonly name: string
  /** Describes a row by the elements of its key, for messages. */
  readonly describe: (...key: readonly string[]) => string
  /** Where the log is, for messages. */
  readonly directory: string
}

const CHECKSUM_BYTES = 4

/**
 * A table whose rows end in a checksum over table, key and value, so that each row is read as it was written, and where
 * it was written. Batches of records have their checksum in their frame. A damaged row throws `LOG_CORRUPT`.
 */
export class CheckedTable<K extends TableKey> {
  readonly #rows: Database<Buffer, K>
  readonly #options: CheckedTableOptions

  constructor(rows: Database<Buffer, K>, options: CheckedTableOptions) {
    this.#rows = rows
    this.#options = options
  }

  get(key: K): Buffer | undefined {
    const row = this.sealed(key)
    return row === undefined ? undefined : this.open(row, key)
  }

  /** A stored row, unchecked: for `open`, or to see that it has not changed since. */
  sealed(key: K): Buffer | undefined {
    return this.#rows.get(key)
  }

  /** Checks a stored row and returns its value. */
  open(row: Buffer, key: K): Buffer {
    const end = row.length - CHECKSUM_BYTES
    if (end < 0 || this.#checksum(key, row.subarray(0, end)) !== row.readUInt32LE(end)) throw this.damaged(key)
    return row.subarray(0, end)
  }

  put(key: K, value: Buffer): void {
    const row = Buffer.allocUnsafe(value.length + CHECKSUM_BYTES)
    row.set(value)
    row.writeUInt32LE(this.#checksum(key, value), value.length)
    void this.#rows.put(key, row)
  }

  remove(key: K): void {
    void this.#rows.remove(key)
  }

  /** Only keys: whether a row is sound shows when it is read. */
  keys(range: RangeOptions = {}): Iterable<K> {
    return this.#rows.getKeys(range)
  }

  *entries(range: RangeOptions = {}): Generator<{ readonly key: K; readonly value: Buffer }> {
    for (const { key, value } of this.#rows.getRange(range)) yield { key, value: this.open(value, key) }
  }

  /** Checks every row. Only this finds a damaged key, because a lookup by the right key finds nothing. */
  checkAll(): void {
    for (const { key, value } of this.#rows.getRange({ snapshot: false })) this.open(value, key)
  }

  /** The error for a row that is damaged, or missing although it must exist. */
  damaged(key: K): MillraceError {
    const { directory, describe } = this.#options
    return new MillraceError(
      'LOG_CORRUPT',
      `In the log in "${directory}" ${describe(...elementsOf(key))} is damaged or missing.`,
    )
  }

  #checksum(key: K, value: Buffer): number {
    return crc32(value, crc32([this.#options.name, ...elementsOf(key)].join('\0')))
  }
}

/** lmdb returns a list of one element as that element, and a damaged key as anything. */
function elementsOf(key: TableKey): readonly string[] {
  return [key].flat().map(String)
}

/** Caches the parsed value of a row's last bytes, because rows are read far more often than they change. */
export class ParsedRows<T> {
  readonly #parse: (bytes: Buffer, key: string) => T
  readonly #known = new Map<string, { readonly bytes: Buffer; readonly value: T }>()

  constructor(parse: (bytes: Buffer, key: string) => T) {
    this.#parse = parse
  }

  get(key: string, bytes: Buffer | undefined): T | undefined {
    if (bytes === undefined) {
      this.#known.delete(key)
      return undefined
    }
    const known = this.#known.get(key)
    if (known !== undefined && known.bytes.equals(bytes)) return known.value
    const value = this.#parse(bytes, key)
    this.#known.set(key, { bytes, value })
    return value
  }
}

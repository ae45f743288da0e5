import type { KeyShape } from '../keys/key-shape.ts'
import type { RowShape } from '../rows/row-shape.ts'
import { type PackedFormat, packedRows, unpacked } from './packed-rows.ts'

/** A session of one key: events that are no further apart than the gap. Both ends belong to it. */
export interface Session<V> {
  /** The time of its first event, in milliseconds since the epoch. */
  readonly start: number
  /** The time of its last event. */
  readonly end: number
  readonly value: V
}

/** The sessions of one key, which are one row: the oldest first. */
export type Sessions<V> = readonly Session<V>[]

/** The first byte of the rows that hold windows which rows by time lead to. Other rows begin with the high byte of a time, which is 0, or with 0xff. */
const PREFIX = 1

/** The row that holds the sessions of an encoded key. */
export function sessionRow(key: Buffer): Buffer {
  const row = Buffer.allocUnsafe(1 + key.length)
  row[0] = PREFIX
  key.copy(row, 1)
  return row
}

export function isSessionRow(row: Buffer): boolean {
  return row[0] === PREFIX
}

/** Row keys of sessions, and of other windows that share rows: a prefix, then the key. */
export class SessionKeys<K> implements KeyShape<K> {
  readonly where: string
  readonly codecName: string
  readonly byCodec: boolean
  readonly #keys: KeyShape<K>

  constructor(keys: KeyShape<K>) {
    this.where = keys.where
    this.codecName = keys.codecName
    this.byCodec = keys.byCodec
    this.#keys = keys
  }

  quickIdentity(key: K): string | undefined {
    return this.#keys.quickIdentity(key)
  }

  encode(key: K): Buffer {
    return sessionRow(this.#keys.encode(key))
  }

  decode(row: Buffer): K {
    return this.#keys.decode(row.subarray(1))
  }

  identify(row: Buffer): string {
    return this.#keys.identify(row.subarray(1))
  }

  partitionedBy(key: K, row: Buffer): Buffer {
    return this.#keys.partitionedBy(key, row.subarray(1))
  }

  show(row: Buffer): string {
    return this.#keys.show(row.subarray(1))
  }
}

const FORMAT: PackedFormat<Omit<Session<never>, 'value'>> = {
  what: 'sessions',
  bytes: 16,
  write({ start, end }, into) {
    into.writeDoubleBE(start, 0)
    into.writeDoubleBE(end, 8)
  },
  read: (from, at) => ({ start: from.readDoubleBE(at), end: from.readDoubleBE(at + 8) }),
}

/** Rows of sessions, with values as `values` encodes them. */
export function sessionRows<V>(values: RowShape<V>): RowShape<Sessions<V>> {
  return packedRows(values, FORMAT)
}

/** The sessions of a row, with their values as they are encoded. Throws `ROW_UNDECODABLE`. */
export function encodedSessions(bytes: Buffer, row: Buffer): Sessions<Buffer> {
  return unpacked(bytes, row, FORMAT)
}

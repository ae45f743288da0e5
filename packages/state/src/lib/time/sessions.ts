import { MillraceError } from '@millrace/core'
import { type KeyShape, showKey } from '../keys/key-shape.ts'
import type { RowShape } from '../rows/row-shape.ts'

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
const FORMAT = 1
const HEADER_BYTES = 20

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

/** Rows of sessions, with values as `values` encodes them. */
export function sessionRows<V>(values: RowShape<V>): RowShape<Sessions<V>> {
  const encode = (sessions: Sessions<V>): Buffer => {
    const parts: Buffer[] = [Buffer.of(FORMAT)]
    for (const { start, end, value } of sessions) {
      const bytes = values.encode(value)
      const header = Buffer.allocUnsafe(HEADER_BYTES)
      header.writeDoubleBE(start, 0)
      header.writeDoubleBE(end, 8)
      header.writeUInt32BE(bytes.length, 16)
      parts.push(header, bytes)
    }
    return Buffer.concat(parts)
  }
  return {
    where: values.where,
    identify: (row) => values.identify(row),
    show: (row) => values.show(row),
    groupOf: undefined,
    admit: encode,
    encode,
    decode: (bytes, row) =>
      encodedSessions(bytes, row).map(({ start, end, value }) => ({ start, end, value: values.decode(value, row) })),
  }
}

/** The sessions of a row, with their values as they are encoded. Throws `ROW_UNDECODABLE`. */
export function encodedSessions(bytes: Buffer, row: Buffer): Sessions<Buffer> {
  const found: Session<Buffer>[] = []
  let at = 1
  while (bytes[0] === FORMAT && at + HEADER_BYTES <= bytes.length) {
    const from = at + HEADER_BYTES
    const to = from + bytes.readUInt32BE(at + 16)
    if (to > bytes.length) break
    found.push({ start: bytes.readDoubleBE(at), end: bytes.readDoubleBE(at + 8), value: bytes.subarray(from, to) })
    at = to
  }
  if (bytes[0] === FORMAT && at === bytes.length) return found
  throw new MillraceError('ROW_UNDECODABLE', `The row ${showKey(row)} holds no sessions that can be read.`)
}

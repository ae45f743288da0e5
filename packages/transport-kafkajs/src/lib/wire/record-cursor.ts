import { MillraceError, NO_HEADERS, type RawHeaders, type RawRecord } from '@millrace/core'

/** Reads records one field after the other. Throws `DECODE_FAILED` if they are malformed. */
export class RecordCursor {
  readonly buffer: Buffer
  at: number

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer
    this.at = at
  }

  /** A zig-zag varint or varlong. Bytes beyond the buffer count as 0; `at` is then beyond its end. */
  varint(): number {
    const { buffer } = this
    let byte = buffer[this.at++] ?? 0
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1)
    let value = byte & 0x7f
    let scale = 128
    do {
      if (scale > LARGEST_SCALE) throw malformed('A number of a record has more than ten bytes.')
      byte = buffer[this.at++] ?? 0
      value += (byte & 0x7f) * scale
      scale *= 128
    } while (byte >= 0x80)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** A key, a value or part of a header, of a record that ends at `end`. */
  bytes(end: number): Buffer | null {
    const length = this.pass(end)
    return length < 0 ? null : this.buffer.subarray(this.at - length, this.at)
  }

  /** Like `bytes`, but only returns the length, which is negative for `null`. */
  pass(end: number): number {
    const length = this.varint()
    if (length < LEAST_LENGTH) throw malformed(`A key, a value or a header has length ${length}.`)
    if (length < 0) return length
    this.at += length
    if (this.at > end) throw malformed('A key, a value or a header is longer than its record.')
    return length
  }

  headers(end: number): RawHeaders {
    const count = this.varint()
    if (count === 0) return NO_HEADERS
    // Each header takes two bytes at least.
    if (count < 0 || count > (end - this.at) / 2) throw malformed(`A record says that it has ${count} headers.`)
    const headers: [string, Buffer | null][] = []
    for (let i = 0; i < count; i++) {
      const name = this.bytes(end)
      if (name === null) throw malformed('A header of a record has no name.')
      headers.push([name.toString('utf8'), this.bytes(end)])
    }
    return headers
  }
}

const LEAST_LENGTH = -(2 ** 31)
/** The scale of a varlong's tenth byte. */
const LARGEST_SCALE = 2 ** 63

export function malformed(why: string): MillraceError {
  return new MillraceError('DECODE_FAILED', why)
}

/** The fields of a record that are read on arrival. */
export interface RecordFields {
  readonly offset: number
  readonly timestamp: number
  readonly headers: RawHeaders
}

/**
 * A record whose key and value are still in the bytes that were received. A buffer costs more to make than the rest of
 * a record, and as much again if it survives a garbage collection before it is used. So each is made on demand: the
 * value when it is decoded, and many keys never.
 */
export class FetchedRecord implements RawRecord {
  readonly offset: number
  readonly timestamp: number
  readonly headers: RawHeaders
  readonly #data: Buffer
  /** Where its key begins, with the key's length. */
  readonly #at: number

  /** The caller has checked that key and value lie within `data`. */
  constructor(data: Buffer, at: number, { offset, timestamp, headers }: RecordFields) {
    this.offset = offset
    this.timestamp = timestamp
    this.headers = headers
    this.#data = data
    this.#at = at
  }

  get key(): Buffer | null {
    return new RecordCursor(this.#data, this.#at).bytes(this.#data.length)
  }

  get value(): Buffer | null {
    const cursor = new RecordCursor(this.#data, this.#at)
    cursor.pass(this.#data.length)
    return cursor.bytes(this.#data.length)
  }
}

import type { RawHeaders, RawRecord } from '@millrace/core'
import { RecordCursor } from './record-cursor.ts'

/** What is read of a record when it comes. */
export interface RecordFields {
  readonly offset: number
  readonly timestamp: number
  readonly headers: RawHeaders
}

/**
 * A record whose key and value are still among the bytes that it came in. A buffer costs more to make than the rest of
 * a record, and as much again when it has to outlive a garbage collection in a queue before it is used. So each is made
 * when it is asked for: the value when it is decoded, and many keys never.
 */
export class FetchedRecord implements RawRecord {
  readonly offset: number
  readonly timestamp: number
  readonly headers: RawHeaders
  readonly #data: Buffer
  /** Where its key begins, with the length of it. */
  readonly #at: number

  /** Both are known to lie within `data`: whoever makes it has passed over them. */
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

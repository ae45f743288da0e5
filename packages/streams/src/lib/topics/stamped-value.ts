import { MillraceError, type RawHeaders, type RawRecord, toError } from '@millrace/core'
import type { StampedRecord } from '@millrace/worker'

/** How a topic reads the time of an event from its value. */
export interface TimeReader {
  /** Of the topic, for messages. */
  readonly topic: string
  readonly decode: (bytes: Buffer) => unknown
  readonly timestamp: (value: unknown) => unknown
}

/**
 * A record with its event time in its value. The value is decoded where the partition is read, in the order of offsets, because
 * event time follows that order. The agent takes the decoded value from here. A second reader or attempt decodes it
 * again, because a reader may have changed the value.
 */
export class StampedValue implements StampedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly hasTime: boolean
  readonly #record: RawRecord
  readonly #reader: TimeReader
  #value: unknown
  #isFresh = false
  #error: unknown

  constructor(record: RawRecord, reader: TimeReader) {
    this.#record = record
    this.#reader = reader
    this.offset = record.offset
    const time = this.#read()
    this.hasTime = time !== undefined
    this.timestamp = time ?? record.timestamp
  }

  get key(): Buffer | null {
    return this.#record.key
  }

  get value(): Buffer | null {
    return this.#record.value
  }

  get headers(): RawHeaders {
    return this.#record.headers
  }

  /** The decoded value. Throws what decoding it throws, and `TIMESTAMP_INVALID`. */
  decoded(): unknown {
    if (this.#error !== undefined) throw this.#error
    if (this.#isFresh) {
      this.#isFresh = false
      return this.#value
    }
    const { value } = this.#record
    return value === null ? null : this.#reader.decode(value)
  }

  /** A tombstone keeps the record's own timestamp and moves no watermark. */
  #read(): number | undefined {
    const { value } = this.#record
    if (value === null) return undefined
    try {
      this.#value = this.#reader.decode(value)
      const time = Math.floor(Number(this.#reader.timestamp(this.#value)))
      if (!(Number.isSafeInteger(time) && time >= 0)) throw this.#noTime(`timestamp of the topic gave ${time}`)
      this.#isFresh = true
      return time
    } catch (thrown) {
      this.#error = this.#value === undefined ? thrown : this.#asTimeError(thrown)
      this.#value = undefined
      return undefined
    }
  }

  #asTimeError(thrown: unknown): unknown {
    if (thrown instanceof MillraceError && thrown.code === 'TIMESTAMP_INVALID') return thrown
    const error = toError(thrown)
    return this.#noTime(`timestamp of the topic threw ${error.name}: ${error.message}`, error)
  }

  #noTime(why: string, cause?: Error): MillraceError {
    const { topic } = this.#reader
    return new MillraceError('TIMESTAMP_INVALID', `The record of topic "${topic}" at offset ${this.offset}: ${why}.`, {
      cause,
    })
  }
}

import {
  type Deferred,
  deferred,
  isMillraceError,
  MillraceError,
  type OutgoingRecord,
  type RawHeaders,
  type RecordMetadata,
  type TopicPartition,
} from '@millrace/core'
import type { SendRequest } from '../contracts/event.ts'
import type { SendReceipt } from '../contracts/task.ts'
import type { Epoch } from './epoch.ts'

/** What a record costs beside its own bytes, on the wire and in memory, roughly. */
const RECORD_OVERHEAD_BYTES = 64

/** Bytes that a record takes, roughly. */
export function recordSize({ key, value, headers }: Pick<OutgoingRecord, 'key' | 'value' | 'headers'>): number {
  let bytes = RECORD_OVERHEAD_BYTES
  if (key !== null) bytes += key.length
  if (value !== null) bytes += value.length
  if (headers.length > 0)
    for (const [name, content] of headers) bytes += name.length + (content === null ? 0 : content.length)
  return bytes
}

/** Throws `RECORD_TOO_LARGE`. */
export function mustFit({ topic, size }: Outgoing, maxRecordBytes: number): void {
  if (size > maxRecordBytes)
    throw new MillraceError(
      'RECORD_TOO_LARGE',
      `A record of ${size} bytes for ${topic} is larger than ${maxRecordBytes} (maxRecordBytes).`,
    )
}

/** Where a record came from: an event, a table, or neither. */
export interface SendOrigin {
  /** True while its event is in flight, so that waiting for the broker would wait for itself. */
  readonly open: boolean
  /** For messages. */
  describe(): string
  /** What ends the worker when the broker refuses the record for good. */
  refusal(record: OutgoingRecord, error: Error): MillraceError
}

const WAITING = -2
/** Of a record whose partition is not chosen yet. */
const NO_PARTITION = -1

/** There is no such topic or partition, or it is none of the app's. */
const NO_PLACE = ['TOPIC_MISSING', 'PARTITION_MISSING', 'NOT_AUTHORIZED'] as const

/** A record on its way out. One object is all that a send costs: it is the driver's record and the sender's receipt. */
export class Outgoing implements OutgoingRecord, SendReceipt {
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  readonly timestamp: number
  readonly size: number
  readonly origin: SendOrigin | undefined
  /** -1 until the record collector has chosen it. */
  partition: number
  /** The epoch of its task; set when it joins the record collector. */
  epoch: Epoch | undefined = undefined
  #offset = WAITING
  #error: Error | undefined = undefined
  #metadata: Deferred<RecordMetadata> | undefined = undefined
  readonly #onMissing: SendRequest['onMissing']

  constructor(request: SendRequest, origin: SendOrigin | undefined) {
    this.topic = request.topic
    this.partition = request.partition ?? NO_PARTITION
    this.key = request.key
    this.value = request.value
    this.headers = request.headers
    this.timestamp = request.timestamp
    this.origin = origin
    this.size = recordSize(request)
    this.#onMissing = request.onMissing
  }

  /** Where the broker has put it: -1 where it does not say, less before it has. */
  get offset(): number {
    return this.#offset
  }

  isFor({ topic, partition }: TopicPartition): boolean {
    return this.partition === partition && this.topic === topic
  }

  /** Its task is lost. */
  get abandoned(): boolean {
    return this.epoch?.abandoned === true
  }

  /** The broker has the record, or never will. */
  get settled(): boolean {
    return this.#offset !== WAITING || this.#error !== undefined
  }

  acknowledged(offset: number): void {
    this.#offset = offset
    this.epoch?.settled()
    this.#metadata?.resolve(this.#stored())
  }

  /** The record will never be stored. */
  failed(error: Error): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.epoch?.failed(error)
    this.#metadata?.reject(error)
  }

  /** The broker refuses it for good. True when nothing else fails with it: it may be left out where there is no place for it. */
  refused(error: Error): boolean {
    if (this.#onMissing === undefined || !isMillraceError(error, ...NO_PLACE)) {
      this.failed(error)
      return false
    }
    this.#error = error
    this.epoch?.settled()
    this.#metadata?.reject(error)
    this.#onMissing(error)
    return true
  }

  /** Its event failed, was deferred or was lost before it went out. */
  dropped(): void {
    this.failed(
      new MillraceError('NO_CURRENT_EVENT', `A send to ${this.topic} was dropped because its event was not finished.`),
    )
  }

  async metadata(): Promise<RecordMetadata> {
    if (this.#error !== undefined) throw this.#error
    if (this.#offset !== WAITING) return this.#stored()
    if (this.origin?.open === true)
      throw new MillraceError(
        'AWAIT_IN_EVENT',
        `metadata() of a send to ${this.topic} was called within its own event, ${this.origin.describe()}.`,
      )
    this.#metadata ??= deferred<RecordMetadata>()
    return this.#metadata.promise
  }

  #stored(): RecordMetadata {
    return { topic: this.topic, partition: this.partition, offset: this.#offset, timestamp: this.timestamp }
  }
}

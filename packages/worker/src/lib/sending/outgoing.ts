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

/** The approximate cost of a record beside its own bytes, on the wire and in memory. */
const RECORD_OVERHEAD_BYTES = 64

/** The approximate size of a record in bytes. */
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

/** The origin of a record: an event, a table, or neither. */
export interface SendOrigin {
  /** True while the origin's event is in flight, because waiting for the broker would then never end. */
  readonly open: boolean
  /** For messages. */
  describe(): string
  /** The error that ends the worker if the broker refuses the record permanently. */
  refusal(record: OutgoingRecord, error: Error): MillraceError
}

const WAITING = -2
/** The partition of a record before one is chosen. */
const NO_PARTITION = -1

/** Refusals for a topic or partition that does not exist, or is not for this app. */
const NO_PLACE = ['TOPIC_MISSING', 'PARTITION_MISSING', 'NOT_AUTHORIZED'] as const

/**
 * A record on its way to the broker. One object is all that a send costs: it is the driver's record and the sender's
 * receipt.
 */
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

  /** The offset of the record: -1 if the broker does not report it, and less before it is stored. */
  get offset(): number {
    return this.#offset
  }

  isFor({ topic, partition }: TopicPartition): boolean {
    return this.partition === partition && this.topic === topic
  }

  /** Whether its task is lost. */
  get abandoned(): boolean {
    return this.epoch?.abandoned === true
  }

  /** Whether the broker has the record, or never will. */
  get settled(): boolean {
    return this.#offset !== WAITING || this.#error !== undefined
  }

  acknowledged(offset: number): void {
    this.#offset = offset
    this.epoch?.settled()
    this.#metadata?.resolve(this.#stored())
  }

  /** Called when the record will never be stored. */
  failed(error: Error): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.epoch?.failed(error)
    this.#metadata?.reject(error)
  }

  /**
   * Called when the broker refuses the record permanently. Returns true if nothing else fails with it, because it may
   * be left out if its topic or partition is missing.
   */
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

  /** Called when its event failed, was deferred or was lost before the record went out. */
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

import {
  type Codec,
  type CodecSpec,
  MillraceError,
  NO_HEADERS,
  type SendReceipt,
  type SendRequest,
  type TopicDeclaration,
} from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import { encodeHeaders } from '../events/header-text.ts'
import { withTrace } from '../events/trace-headers.ts'
import type { StreamsDeps } from '../streams-deps.ts'
import { isRecord, noRecord, sendHere } from './send-here.ts'
import type { RecordToSend } from './topic-options.ts'
import type { ForwardedEvent } from './value-target.ts'

export interface TopicShape<K, V, KI, VI> {
  readonly declaration: TopicDeclaration
  readonly key: Codec<KI, K>
  readonly value: Codec<VI, V>
  readonly valueSpec: CodecSpec
  /** Reading the key of a record without one fails. */
  readonly keyExpected: boolean
  readonly tombstones: boolean
}

/**
 * A topic of the app: sends records, and is the source of agents. A descriptor: it holds no connection.
 *
 * @example
 * const posts = app.topic('posts', { value: 'string' })
 * await posts.send({ value: 'hello world' })
 */
export class Topic<K, V, KI = K, VI = V> {
  /** Creation settings, as the worker is told them. */
  readonly declaration: TopicDeclaration
  readonly key: Codec<KI, K>
  readonly value: Codec<VI, V>
  /** As declared; two topics of one spec may exchange bytes. */
  readonly valueSpec: CodecSpec
  readonly keyExpected: boolean
  /** Hands out records without a value. */
  readonly tombstones: boolean
  /** Used by sinks and `echo`. */
  readonly relay: (value: VI, delivery: Delivery) => void | Promise<void>
  /** Used by `event.forward`. */
  readonly forwardFrom: (event: ForwardedEvent) => void | Promise<void>
  readonly #deps: StreamsDeps

  constructor(deps: StreamsDeps, shape: TopicShape<K, V, KI, VI>) {
    this.#deps = deps
    this.declaration = shape.declaration
    this.key = shape.key
    this.value = shape.value
    this.valueSpec = shape.valueSpec
    this.keyExpected = shape.keyExpected
    this.tombstones = shape.tombstones
    this.relay = (value, delivery) =>
      this.sendFrom(delivery, delivery.rawKey, value === null ? null : this.value.encode(value))
    this.forwardFrom = ({ delivery, value, changed }) => {
      const raw = changed ? undefined : delivery.rawValue
      // Whatever the value is, it came from outside the type system: the codec checks what it can.
      const bytes = raw !== undefined ? raw : value === null ? null : this.value.encode(value as VI)
      return this.sendFrom(delivery, delivery.rawKey, bytes)
    }
  }

  get name(): string {
    return this.declaration.name
  }

  /**
   * Sends a record. Within an event it belongs to the event and resolves at once; anywhere else it resolves when the
   * broker has acknowledged it. The event's `traceparent` and `tracestate` go with it, unless it sets its own.
   *
   * @throws `ENCODE_FAILED`, `SCHEMA_MISMATCH`, `RECORD_TOO_LARGE`; `NO_CURRENT_EVENT` in an agent between events, or in
   * work that has outlived its event; outside agents also what the broker refuses it for
   */
  async send(record: RecordToSend<KI, VI>): Promise<SendReceipt> {
    return await sendHere(this.#deps, this.name, (timestamp) => this.request(record, timestamp))
  }

  /** The record as bytes. */
  request(record: RecordToSend<KI, VI>, timestamp: number): SendRequest {
    if (!isRecord(record)) throw noRecord(`topic "${this.name}"`, record)
    const { key, value, headers, partition } = record
    if (partition !== undefined && !(Number.isSafeInteger(partition) && partition >= 0))
      throw new MillraceError('PARTITION_MISSING', `A record for topic "${this.name}" names partition ${partition}.`)
    return {
      topic: this.name,
      key: key === undefined || key === null ? null : this.key.encode(key),
      value: value === null ? null : this.value.encode(value),
      headers: withTrace(headers === undefined ? NO_HEADERS : encodeHeaders(headers), this.#deps.scope.getStore()),
      timestamp: record.timestamp ?? timestamp,
      partition,
    }
  }

  /** Sends bytes in the course of an event, with its headers and timestamp. */
  sendFrom(delivery: Delivery, key: Buffer | null, value: Buffer | null): void | Promise<void> {
    const { rawHeaders, timestamp } = delivery
    return delivery.send({ topic: this.name, key, value, headers: rawHeaders, timestamp, partition: undefined })
  }
}

/** Any topic, for reading. */
export type AnyTopic = Topic<unknown, unknown, never, never>

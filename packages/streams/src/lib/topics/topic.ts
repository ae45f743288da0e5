import { type Codec, type CodecSpec, MillraceError, NO_HEADERS } from '@millrace/core'
import type { SendReceipt, SendRequest, TopicDeclaration } from '@millrace/worker'
import { encodeHeaders } from '../events/headers.ts'
import type { PassedEvent } from '../events/targets.ts'
import { sendFollowed, withTrace } from '../events/trace-headers.ts'
import type { StreamsContext } from '../streams-context.ts'
import { isRecord, noRecord, sendHere } from './send-here.ts'
import type { RecordToSend } from './topic-options.ts'
import type { SourcePlan } from './source-plan.ts'

export interface TopicShape<K, V, KI, VI> {
  readonly declaration: TopicDeclaration
  readonly key: Codec<KI, K>
  readonly value: Codec<VI, V>
  readonly valueSpec: CodecSpec
  /** As declared; `undefined` when nobody declared one. */
  readonly keySpec: CodecSpec | undefined
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
  /** How the worker creates it. */
  readonly declaration: TopicDeclaration
  readonly key: Codec<KI, K>
  readonly value: Codec<VI, V>
  /** As declared; two topics of one spec may exchange bytes. */
  readonly valueSpec: CodecSpec
  /** As declared; `undefined` when nobody declared one. */
  readonly keySpec: CodecSpec | undefined
  readonly keyExpected: boolean
  /** Hands out records without a value. */
  readonly tombstones: boolean
  /** Used by sinks and `echo`. */
  readonly relay: (value: VI, event: PassedEvent) => unknown
  /** Used by `event.forward`. */
  readonly forwardFrom: (event: PassedEvent) => unknown
  readonly #context: StreamsContext

  constructor(context: StreamsContext, shape: TopicShape<K, V, KI, VI>) {
    this.#context = context
    this.declaration = shape.declaration
    this.key = shape.key
    this.value = shape.value
    this.valueSpec = shape.valueSpec
    this.keySpec = shape.keySpec
    this.keyExpected = shape.keyExpected
    this.tombstones = shape.tombstones
    this.relay = (value, event) =>
      this.sendFrom(event, event.inFlight.record.key, value === null ? null : this.value.encode(value))
    this.forwardFrom = (event) => {
      const { value, isValueChanged, inFlight } = event
      const raw = isValueChanged ? undefined : event.rawValue
      // Whatever the value is, it came from outside the type system: the codec checks what it can.
      const bytes = raw !== undefined ? raw : value === null ? null : this.value.encode(value as VI)
      return this.sendFrom(event, inFlight.record.key, bytes)
    }
  }

  get name(): string {
    return this.declaration.name
  }

  /** Used by the agents that read it. */
  planFor(plan: SourcePlan<AnyTopic>): void {
    plan.topic(this)
  }

  /**
   * Sends a record. Within an event it belongs to the event and resolves at once; anywhere else it resolves when the
   * broker has acknowledged it. The event's `traceparent` and `tracestate` go with it, unless it sets its own.
   *
   * @throws `ENCODE_FAILED`, `SCHEMA_MISMATCH`, `RECORD_TOO_LARGE`; `NO_CURRENT_EVENT` in an agent between events, or in
   * work that has outlived its event; outside agents also what the broker refuses it for
   */
  async send(record: RecordToSend<KI, VI>): Promise<SendReceipt> {
    return await sendHere(this.#context, this.name, (timestamp) => this.request(record, timestamp))
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
      headers: withTrace(
        headers === undefined ? NO_HEADERS : encodeHeaders(headers),
        this.#context.contexts.getStore(),
      ),
      timestamp: record.timestamp ?? timestamp,
      partition,
    }
  }

  /** Sends bytes in the course of an event, with its headers and timestamp. */
  sendFrom(
    { inFlight, rawHeaders: headers }: PassedEvent,
    key: Buffer | null,
    value: Buffer | null,
  ): SendReceipt | Promise<SendReceipt> {
    const { timestamp } = inFlight
    const request = { topic: this.name, key, value, headers, timestamp, partition: undefined }
    return sendFollowed(this.#context.tracing, request, inFlight)
  }
}

/** Any topic, for reading. */
export type AnyTopic = Topic<unknown, unknown, never, never>

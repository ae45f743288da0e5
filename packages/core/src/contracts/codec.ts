import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'
import type { SchemaAdmin } from './schema-admin.ts'

/**
 * Turns values into bytes and back. Synchronous, so that a table write or a hand-out never waits. `resolveCodec` turns
 * errors of `encode` or `decode` into `ENCODE_FAILED` or `DECODE_FAILED`, with the topic or table. `encode` takes `In`;
 * `decode` returns `Out`: the two differ for schemas that transform.
 */
export interface Codec<In, Out = In> {
  /** For messages, and for the check that a table encodes its keys as its source does. */
  readonly name: string
  encode(value: In): Buffer
  decode(bytes: Buffer): Out
  /**
   * What `decode` of these bytes needs from outside the process and does not have yet: a promise that resolves when
   * `decode` can be called, also if it will throw then. `undefined` if nothing is missing. Called for each record before
   * it is handed out, so it must cost no more than reading a few bytes. Without it nothing is ever missing.
   */
  missing?(bytes: Buffer): Promise<void> | undefined
  /** The bytes of a value that was typed as text. Without it the text itself is taken for the bytes. */
  encodeText?(text: string): Buffer
}

/** The keys or values that a codec is for. */
export interface CodecUse {
  /** Also the changelog of a table. */
  readonly topic: string
  readonly part: 'key' | 'value'
  /** Equal values must have equal bytes, as in keys and in elements of sets. */
  readonly canonical: boolean
  /** Whether the app writes it for certain, as it does a table: what cannot be encoded is then an error at start. */
  readonly isWritten: boolean
}

/** What codecs with a source outside the process get from their app. All of it may change until the app starts. */
export interface CodecEnvironment {
  readonly clock: Clock
  readonly log: Logger
  readonly settings: { readonly schemaRegistry: string | undefined; readonly connectTimeoutMs: number }
}

/** The source of codecs outside the process, such as a schema registry. Each app has its own. */
export interface CodecSource {
  /**
   * Called when a worker or client starts, before its first record. Resolves when all codecs of the source know what
   * they can know before a record; rejects if one of them cannot be used, or after `connectTimeoutMs`.
   */
  open(): Promise<void>
  /** Once for each `open`, also for one that has rejected. After the last one nothing is asked for any more. */
  close(): void
  /** For the command line. */
  readonly admin: SchemaAdmin
}

/** Gives an app its source of a kind: the same for all codecs that ask with the same key. */
export type CodecSources = (kind: symbol, make: (environment: CodecEnvironment) => CodecSource) => CodecSource

/**
 * A codec that depends on the topic, and on a source outside the process. `forTopic` gives the codec to use; this one
 * only describes it.
 */
export interface TopicCodec<In, Out = In> extends Codec<In, Out> {
  forTopic(use: CodecUse, sources: CodecSources): Codec<In, Out>
}

type Atom =
  | string
  | number
  | boolean
  | bigint
  | symbol
  | null
  | undefined
  | Date
  | RegExp
  | ArrayBufferView
  | ((...args: never) => unknown)

/**
 * A value as tables return it: readonly at every depth, so that `table.get(key).count = 1` does not compile.
 * Primitives, dates and bytes stay as they are. A plain `V` is accepted wherever an `Immutable<V>` is.
 */
export type Immutable<V> = unknown extends V
  ? V
  : V extends Atom
    ? V
    : V extends ReadonlyMap<infer K, infer E>
      ? ReadonlyMap<K, Immutable<E>>
      : V extends ReadonlySet<infer E>
        ? ReadonlySet<Immutable<E>>
        : V extends object
          ? { readonly [P in keyof V]: Immutable<V[P]> }
          : V

/**
 * What is accepted where a `V` is sent, including values that a table has returned, since sending changes nothing. For
 * most types it is `V` itself; it differs for types with lists or maps.
 */
export type Given<V> = V | ([Immutable<V>] extends [V] ? never : Immutable<V>)

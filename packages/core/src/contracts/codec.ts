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

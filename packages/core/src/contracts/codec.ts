/**
 * Turns values into bytes and back. Synchronous, so that a table write or a hand-out never waits. What `encode` or
 * `decode` throws becomes `ENCODE_FAILED` or `DECODE_FAILED`, with the topic or table, in `resolveCodec`.
 * `encode` takes `In`; `decode` gives `Out`: the two differ for schemas that transform.
 */
export interface Codec<In, Out = In> {
  /** For messages and for the check that a table's keys are encoded as its source's. */
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
 * A value as tables give it out: readonly to its depth, so that `table.get(key).count = 1` does not compile. Primitives,
 * dates and bytes stay as they are. A plain `V` can be given wherever an `Immutable<V>` is taken.
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
 * What may be given where a `V` is sent: also what a table has given out, since sending changes nothing. For most types
 * that is `V` itself; it differs where there are lists or maps in it.
 */
export type Given<V> = V | ([Immutable<V>] extends [V] ? never : Immutable<V>)

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

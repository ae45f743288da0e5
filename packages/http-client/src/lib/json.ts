/**
 * A value as it comes over HTTP: dates are text, bytes base64, big integers decimal text, sets arrays, maps arrays of
 * pairs.
 */
export type JsonOf<V> = unknown extends V
  ? V
  : V extends string | number | boolean | null | undefined
    ? V
    : V extends bigint | Uint8Array
      ? string
      : V extends symbol | ((...args: never) => unknown)
        ? never
        : V extends { toJSON(...args: never): infer J }
          ? JsonOf<J>
          : V extends ReadonlyMap<infer K, infer E>
            ? readonly (readonly [JsonOf<K>, JsonOf<E>])[]
            : V extends ReadonlySet<infer E>
              ? readonly JsonOf<E>[]
              : V extends object
                ? { [P in keyof V]: JsonOf<V[P]> }
                : never

/** What the compiler says of a value that JSON would change on its way. */
export interface NotJson {
  readonly 'this type does not survive JSON: give the key or the agent’s value a type of text, numbers, booleans, lists and plain objects': never
}

/** A value that is sent as JSON, and arrives as what it is. */
export type SentAsJson<V> = [V] extends [JsonOf<V>] ? V : NotJson

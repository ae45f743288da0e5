/** What the rows of a table look like, for the parts that know bytes, keys' identities and values, but no table. */
export interface RowShape<V> {
  /** For messages: `table "counts"`. */
  readonly where: string
  /** The identity of an encoded key in the cache: equal for equal bytes, different for different ones. */
  identify(key: Buffer): string
  /** A key for messages. */
  show(key: Buffer): string
  /** Rows of one group are read together (the elements of a set); `undefined` when nothing ever reads groups. */
  readonly groupOf: ((key: Buffer) => string) | undefined
  /**
   * Refuses, in the handler that writes it, a value that could not be written at the cut. Gives the bytes, but for values
   * that are always small and need no encoding to be found right.
   */
  admit(value: V): Buffer | undefined
  encode(value: V): Buffer
  /** Throws `ROW_UNDECODABLE`. */
  decode(bytes: Buffer, key: Buffer): V
}

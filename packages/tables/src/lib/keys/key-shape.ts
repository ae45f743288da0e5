/** How the keys of a table become bytes, identities and partitions. */
export interface KeyShape<K> {
  /** For messages: `table "counts"`. */
  readonly where: string
  /** `Codec.name` of the key, compared with the event's when a key is in the wrong partition. */
  readonly codecName: string
  /** True when a wrong partition can come from another key codec: not when `partitionBy` makes the bytes. */
  readonly byCodec: boolean
  /** The identity of a key, when that takes no encoding. */
  quickIdentity(key: K): string | undefined
  encode(key: K): Buffer
  /** Throws `ROW_UNDECODABLE`. */
  decode(bytes: Buffer): K
  /** The identity of an encoded key: the same as `quickIdentity` of the key where that gives one. */
  identify(bytes: Buffer): string
  /** The bytes whose hash is the partition of the key. */
  home(key: K, bytes: Buffer): Buffer
  /** For messages. */
  show(bytes: Buffer): string
}

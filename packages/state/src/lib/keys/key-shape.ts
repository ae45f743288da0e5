import {
  CodecWaitsError,
  encodeUtf8,
  keyFromText,
  MillraceError,
  toError,
  type Codec,
  type CodecSpec,
} from '@millrace/core'

/** What `partitionBy` may give: the key of the source topic that the state's key belongs to. */
export type PartitionKey = string | number | Uint8Array

/** How keys become bytes, identities and partitions. */
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
  /** The identity of an encoded key in the cache: the same as `quickIdentity` where that gives one. */
  identify(bytes: Buffer): string
  /** The bytes whose hash is the partition of the key. */
  partitionedBy(key: K, bytes: Buffer): Buffer
  /** For messages. */
  show(bytes: Buffer): string
}

export interface CodecKeyOptions<K> {
  /** For messages: `table "counts"`. */
  readonly where: string
  readonly keyCodec: Codec<K>
  /** As it was declared. With `'string'` equal texts are equal bytes: a key is its own identity, and is not encoded to look it up. */
  readonly keySpec: CodecSpec
  readonly partitionBy: ((key: K) => PartitionKey) | undefined
}

/** Keys that a codec encodes. */
export class CodecKeys<K> implements KeyShape<K> {
  readonly where: string
  readonly codecName: string
  readonly byCodec: boolean
  readonly #codec: Codec<K>
  readonly #plainText: boolean
  readonly #partitionBy: ((key: K) => PartitionKey) | undefined

  constructor({ where, keyCodec, keySpec, partitionBy }: CodecKeyOptions<K>) {
    this.where = where
    this.codecName = keyCodec.name
    this.byCodec = partitionBy === undefined
    this.#codec = keyCodec
    this.#plainText = keySpec === 'string'
    this.#partitionBy = partitionBy
  }

  quickIdentity(key: K): string | undefined {
    return this.#plainText && typeof key === 'string' ? key : undefined
  }

  encode(key: K): Buffer {
    return this.#codec.encode(key)
  }

  decode(bytes: Buffer): K {
    try {
      return this.#codec.decode(bytes)
    } catch (thrown) {
      if (thrown instanceof CodecWaitsError) throw thrown
      const error = toError(thrown)
      throw new MillraceError('ROW_UNDECODABLE', `The key ${showKey(bytes)} in ${this.where}: ${error.message}`, {
        cause: error,
      })
    }
  }

  /**
   * A key typed as text, encoded: text and bytes stand for themselves, numbers are decimal, everything else is JSON text.
   *
   * @throws `KEY_INVALID`
   */
  parse(text: string): Buffer {
    return keyFromText(this.#codec, text, this.where)
  }

  identify(bytes: Buffer): string {
    return this.#plainText ? bytes.toString('utf8') : bytes.toString('latin1')
  }

  partitionedBy(key: K, bytes: Buffer): Buffer {
    return this.#partitionBy === undefined ? bytes : partitionBytes(this.#partitionBy(key), this.where)
  }

  show(bytes: Buffer): string {
    return showKey(bytes)
  }
}

/** A partition key as the source topic has it: text and numbers as the `string` and `number` codecs write them. */
function partitionBytes(key: PartitionKey, where: string): Buffer {
  if (typeof key === 'string') return encodeUtf8(key)
  if (typeof key === 'number') return encodeUtf8(String(key))
  if (key instanceof Uint8Array) return Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  throw new MillraceError(
    'DEFINITION_INVALID',
    `partitionBy of ${where} gave ${key === null ? 'null' : typeof key}, not text, a number or bytes.`,
  )
}

const LONGEST_SHOWN = 100

/** An encoded key as text for messages: quoted, and shortened when it is long. */
export function showKey(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text)
}

const HIGHEST = 0xff

/** The first key after all that start with `prefix`; `undefined` when there is none. */
export function prefixEnd(prefix: Buffer): Buffer | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === HIGHEST) length--
  if (length === 0) return undefined
  const end = Buffer.from(prefix.subarray(0, length))
  end.writeUInt8(end.readUInt8(length - 1) + 1, length - 1)
  return end
}

import { MillraceError, toError, type Codec } from '@millrace/core'
import type { KeyShape } from './key-shape.ts'
import { partitionBytes, type PartitionKey } from './partition-bytes.ts'
import { showKey } from './show-key.ts'

export interface CodecKeyOptions<K> {
  readonly where: string
  readonly codec: Codec<K>
  /** The built-in string codec: equal strings are equal bytes, so a key is its own identity and is not encoded to look it up. */
  readonly plainText: boolean
  readonly partitionBy: ((key: K) => PartitionKey) | undefined
}

/** Keys that a codec encodes. */
export class CodecKeyShape<K> implements KeyShape<K> {
  readonly where: string
  readonly codecName: string
  readonly byCodec: boolean
  readonly #codec: Codec<K>
  readonly #plainText: boolean
  readonly #partitionBy: ((key: K) => PartitionKey) | undefined

  constructor({ where, codec, plainText, partitionBy }: CodecKeyOptions<K>) {
    this.where = where
    this.codecName = codec.name
    this.byCodec = partitionBy === undefined
    this.#codec = codec
    this.#plainText = plainText
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
      const error = toError(thrown)
      throw new MillraceError('ROW_UNDECODABLE', `The key ${showKey(bytes)} in ${this.where}: ${error.message}`, {
        cause: error,
      })
    }
  }

  identify(bytes: Buffer): string {
    return this.#plainText ? bytes.toString('utf8') : bytes.toString('latin1')
  }

  home(key: K, bytes: Buffer): Buffer {
    return this.#partitionBy === undefined ? bytes : partitionBytes(this.#partitionBy(key), this.where)
  }

  show(bytes: Buffer): string {
    return showKey(bytes)
  }
}

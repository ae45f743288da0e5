import { keyFromText, type Codec } from '@millrace/core'
import type { KeyShape } from '../keys/key-shape.ts'

/** Keys of a table that were typed as text: itself for text and bytes, a decimal number, JSON text otherwise. */
export class TextKeys<K> {
  readonly keys: KeyShape<K>
  readonly #codec: Codec<K>

  constructor(keys: KeyShape<K>, codec: Codec<K>) {
    this.keys = keys
    this.#codec = codec
  }

  /** Throws `KEY_INVALID`. */
  parseKey(text: string): Buffer {
    return keyFromText(this.#codec, text, this.keys.where)
  }

  /** Throws `KEY_INVALID`. */
  keyOf(text: string): K {
    return this.keys.decode(this.parseKey(text))
  }
}

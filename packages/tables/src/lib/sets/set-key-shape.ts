import { MillraceError, toError, type Codec } from '@millrace/core'
import type { KeyShape } from '../keys/key-shape.ts'
import { showKey } from '../keys/show-key.ts'

/** One row of a set table. Without an element it stands for all rows of the key: its bytes are what they start with. */
export interface SetMember<K, E> {
  readonly key: K
  readonly element?: E
}

export interface SetKeyOptions<K, E> {
  readonly keys: KeyShape<K>
  readonly elements: Codec<E>
}

const LENGTH_BYTES = 4

/** Row keys of a set: length of the key (4 bytes, big endian), the key, the element. The key alone decides the partition. */
export class SetKeyShape<K, E> implements KeyShape<SetMember<K, E>> {
  readonly where: string
  readonly codecName: string
  readonly byCodec: boolean
  readonly #keys: KeyShape<K>
  readonly #elements: Codec<E>

  constructor({ keys, elements }: SetKeyOptions<K, E>) {
    this.where = keys.where
    this.codecName = keys.codecName
    this.byCodec = keys.byCodec
    this.#keys = keys
    this.#elements = elements
  }

  quickIdentity(): undefined {
    return undefined
  }

  encode({ key, element }: SetMember<K, E>): Buffer {
    const keyBytes = this.#keys.encode(key)
    const elementBytes = element === undefined ? undefined : this.#elements.encode(element)
    const bytes = Buffer.allocUnsafe(LENGTH_BYTES + keyBytes.length + (elementBytes?.length ?? 0))
    bytes.writeUInt32BE(keyBytes.length, 0)
    keyBytes.copy(bytes, LENGTH_BYTES)
    elementBytes?.copy(bytes, LENGTH_BYTES + keyBytes.length)
    return bytes
  }

  decode(bytes: Buffer): Required<SetMember<K, E>> {
    const key = this.#keys.decode(keyPart(bytes))
    const element = bytes.subarray(setPrefixLength(bytes))
    try {
      return { key, element: this.#elements.decode(element) }
    } catch (thrown) {
      const error = toError(thrown)
      throw new MillraceError(
        'ROW_UNDECODABLE',
        `An element of key ${this.show(bytes)} of ${this.where}: ${error.message}`,
        { cause: error },
      )
    }
  }

  identify(bytes: Buffer): string {
    return bytes.toString('latin1')
  }

  home(member: SetMember<K, E>, bytes: Buffer): Buffer {
    return this.#keys.home(member.key, keyPart(bytes))
  }

  show(bytes: Buffer): string {
    const element = bytes.subarray(setPrefixLength(bytes))
    const key = this.#keys.show(keyPart(bytes))
    return element.length === 0 ? key : `${key} (element ${showKey(element)})`
  }
}

/** How many bytes of a row key all elements of its key share. */
export function setPrefixLength(bytes: Buffer): number {
  const length = bytes.length < LENGTH_BYTES ? 0 : LENGTH_BYTES + bytes.readUInt32BE(0)
  return Math.min(length, bytes.length)
}

function keyPart(bytes: Buffer): Buffer {
  return bytes.subarray(LENGTH_BYTES, setPrefixLength(bytes))
}

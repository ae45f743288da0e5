import { MillraceError, toError, type Codec } from '@millrace/core'
import {
  CodecKeys,
  prefixEnd,
  showKey,
  type CodecKeyOptions,
  type KeyShape,
  type RowGroupRange,
  type StateShape,
} from '@millrace/state'

/** One row of a set table. Without an element it stands for all rows of the key, and its bytes are their prefix. */
export interface SetMember<K, E> {
  readonly key: K
  readonly element?: E
}

const LENGTH_BYTES = 4

/** Row keys of a set: length of the key (4 bytes, big endian), the key, the element. The key alone decides the partition. */
class MemberKeys<K, E> implements KeyShape<SetMember<K, E>> {
  readonly where: string
  readonly codecName: string
  readonly byCodec: boolean
  /** Those of the sets, without elements. */
  readonly keys: CodecKeys<K>
  readonly #elements: Codec<E>

  constructor(keys: CodecKeys<K>, elements: Codec<E>) {
    this.where = keys.where
    this.codecName = keys.codecName
    this.byCodec = keys.byCodec
    this.keys = keys
    this.#elements = elements
  }

  quickIdentity(): undefined {
    return undefined
  }

  encode({ key, element }: SetMember<K, E>): Buffer {
    const keyBytes = this.keys.encode(key)
    const elementBytes = element === undefined ? undefined : this.#elements.encode(element)
    const bytes = Buffer.allocUnsafe(LENGTH_BYTES + keyBytes.length + (elementBytes?.length ?? 0))
    bytes.writeUInt32BE(keyBytes.length, 0)
    keyBytes.copy(bytes, LENGTH_BYTES)
    elementBytes?.copy(bytes, LENGTH_BYTES + keyBytes.length)
    return bytes
  }

  decode(bytes: Buffer): Required<SetMember<K, E>> {
    // Cut off or of another codec: what is there of the key would pass for a key of its own.
    if (bytes.length < LENGTH_BYTES || bytes.length < LENGTH_BYTES + bytes.readUInt32BE(0))
      throw new MillraceError(
        'ROW_UNDECODABLE',
        `The row ${showKey(bytes)} in ${this.where} is shorter than the length of its key.`,
      )
    const key = this.keys.decode(keyBytes(bytes))
    const element = bytes.subarray(prefixLength(bytes))
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

  partitionedBy(member: SetMember<K, E>, bytes: Buffer): Buffer {
    return this.keys.partitionedBy(member.key, keyBytes(bytes))
  }

  show(bytes: Buffer): string {
    const element = bytes.subarray(prefixLength(bytes))
    const key = this.keys.show(keyBytes(bytes))
    return element.length === 0 ? key : `${key} (element ${showKey(element)})`
  }
}

/** How many bytes of a row key all elements of its key share. */
function prefixLength(bytes: Buffer): number {
  const length = bytes.length < LENGTH_BYTES ? 0 : LENGTH_BYTES + bytes.readUInt32BE(0)
  return Math.min(length, bytes.length)
}

/** The encoded key in the key of a row. */
export function keyBytes(bytes: Buffer): Buffer {
  return bytes.subarray(LENGTH_BYTES, prefixLength(bytes))
}

/** The value of every row: all is in its key, and this only keeps it from being a tombstone. */
export const PRESENT: Buffer = Buffer.from([1])

/** Keys and rows of a set. */
export interface SetShape<K, E> extends StateShape<SetMember<K, E>, true> {
  readonly keys: MemberKeys<K, E>
}

/** One row per key and element. */
export function setShape<K, E>(definition: CodecKeyOptions<K> & { readonly valueCodec: Codec<E> }): SetShape<K, E> {
  const keys = new MemberKeys(new CodecKeys(definition), definition.valueCodec)
  return {
    keys,
    rows: {
      where: keys.where,
      identify: (key) => keys.identify(key),
      show: (key) => keys.show(key),
      groupOf,
      admit: () => PRESENT,
      encode: () => PRESENT,
      decode: () => true,
    },
  }
}

/** All elements of the key of a row. */
function groupOf(bytes: Buffer): string {
  return bytes.toString('latin1', 0, prefixLength(bytes))
}

/** The rows of a key, by the bytes that they start with. */
export function groupRange(prefix: Buffer): RowGroupRange {
  return { name: groupOf(prefix), from: prefix, to: prefixEnd(prefix) }
}

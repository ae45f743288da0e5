import { CodecWaitsError, isMillraceError, MillraceError, toError, type Codec, type CodecSpec } from '@millrace/core'
import { CodecKeys, type CodecKeyOptions, type KeyShape } from '../keys/key-shape.ts'

/** The shape of rows, for code that handles encoded keys and values and never decodes a key. */
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
   * Refuses, in the handler that writes it, a value that could not be written at the commit. Gives the bytes, except for
   * values that are always small and are known to be right without encoding them.
   */
  admit(value: V): Buffer | undefined
  encode(value: V): Buffer
  /** Throws `ROW_UNDECODABLE`. */
  decode(bytes: Buffer, key: Buffer): V
}

/** Keys and rows of one state: all that its cache, its store and its users have to know of their types. */
export interface StateShape<K, V> {
  readonly keys: KeyShape<K>
  readonly rows: RowShape<V>
}

export interface CodecShapeOptions<K, V> extends CodecKeyOptions<K>, ValueShapeOptions<K, V> {}

/** How values are encoded, under keys of type `K`. */
export interface ValueShapeOptions<K, V> {
  readonly valueCodec: Codec<V>
  /** As it was declared: two built-in codecs have checks that cost less than encoding. */
  readonly valueSpec: CodecSpec
  /** Reads a row that the codec refuses. */
  readonly migrate: ((raw: Buffer, key: K) => V) | undefined
}

/** Keys and values that codecs encode. */
export function codecShape<K, V>(options: CodecShapeOptions<K, V>): StateShape<K, V> & { readonly keys: CodecKeys<K> } {
  const keys = new CodecKeys(options)
  return { keys, rows: codecRows(keys, options) }
}

/** Rows of any keys, with values that a codec encodes. */
export function codecRows<K, V>(
  keys: KeyShape<K>,
  { valueCodec: codec, valueSpec, migrate }: ValueShapeOptions<K, V>,
): RowShape<V> {
  const encode = (value: V): Buffer => codec.encode(value)
  return {
    where: keys.where,
    identify: (key) => keys.identify(key),
    show: (key) => keys.show(key),
    groupOf: undefined,
    admit: admission(valueSpec, encode),
    encode,
    decode(bytes, key) {
      try {
        return codec.decode(bytes)
      } catch (thrown) {
        if (thrown instanceof CodecWaitsError) throw thrown
        if (migrate !== undefined) return migrated(migrate, keys, bytes, key)
        throw undecodable(keys, key, thrown)
      }
    },
  }
}

function admission<V>(spec: CodecSpec, encode: (value: V) => Buffer): (value: V) => Buffer | undefined {
  if (spec === 'number')
    return (value) => (typeof value === 'number' && Number.isFinite(value) ? undefined : encode(value))
  return encode
}

function migrated<K, V>(migrate: (raw: Buffer, key: K) => V, keys: KeyShape<K>, bytes: Buffer, key: Buffer): V {
  try {
    const value = migrate(bytes, keys.decode(key))
    if (value !== undefined) return value
  } catch (thrown) {
    throw undecodable(keys, key, thrown)
  }
  throw undecodable(keys, key, new Error('migrate gave undefined.'))
}

function undecodable<K>(keys: KeyShape<K>, key: Buffer, thrown: unknown): MillraceError {
  const error = toError(thrown)
  const detail = isMillraceError(error) ? error.detail : error.message
  return new MillraceError('ROW_UNDECODABLE', `Key ${keys.show(key)} of ${keys.where}: ${detail}`, { cause: error })
}

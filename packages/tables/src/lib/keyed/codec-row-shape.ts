import { isMillraceError, MillraceError, toError, type Codec, type CodecSpec } from '@millrace/core'
import type { KeyShape } from '../keys/key-shape.ts'
import type { RowShape } from './row-shape.ts'

export interface CodecRowOptions<K, V> {
  readonly keys: KeyShape<K>
  readonly codec: Codec<V>
  /** As the table was given it: two built-in codecs have checks that cost less than encoding. */
  readonly spec: CodecSpec
  readonly migrate: ((raw: Buffer, key: K) => V) | undefined
}

/** Rows whose values a codec encodes. */
export function codecRowShape<K, V>({ keys, codec, spec, migrate }: CodecRowOptions<K, V>): RowShape<V> {
  const encode = (value: V): Buffer => codec.encode(value)
  return {
    where: keys.where,
    identify: (key) => keys.identify(key),
    show: (key) => keys.show(key),
    groupOf: undefined,
    admit: admission(spec, encode),
    encode,
    decode(bytes, key) {
      try {
        return codec.decode(bytes)
      } catch (thrown) {
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

import { resolveCodec, type Codec, type CodecSpec } from '@millrace/core'
import type { KeyOf, ValueOf } from './table-types.ts'

/** The codec of a spec that is `RoundTrip`: what it gives is what it takes, which `resolveCodec` cannot say. */
export function roundTripCodec<S extends CodecSpec>(spec: S, role: 'key', where: string): Codec<KeyOf<S>>
export function roundTripCodec<S extends CodecSpec>(
  spec: S,
  role: 'value' | 'element',
  where: string,
): Codec<ValueOf<S>>
export function roundTripCodec(
  spec: CodecSpec,
  role: 'key' | 'value' | 'element',
  where: string,
): Codec<never, unknown> {
  // Elements of sets are in the row's key: equal ones must be equal bytes.
  if (role === 'element') return resolveCodec(spec, 'key', `the elements of ${where}`)
  return resolveCodec(spec, role === 'value' ? 'row' : role, where)
}

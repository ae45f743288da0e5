import { resolveCodec, type Codec, type CodecRole, type CodecSpec } from '@millrace/core'
import type { KeyOf, ValueOf } from './table-types.ts'

/** The codec of a spec that is `RoundTrip`: what it gives is what it takes, which `resolveCodec` cannot say. */
export function roundTripCodec<S extends CodecSpec>(spec: S, role: 'key', where: string): Codec<KeyOf<S>>
export function roundTripCodec<S extends CodecSpec>(spec: S, role: 'value', where: string): Codec<ValueOf<S>>
export function roundTripCodec(spec: CodecSpec, role: CodecRole, where: string): Codec<never, unknown> {
  return resolveCodec(spec, role, where)
}

import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Codec } from '../../contracts/codec.ts'

/** What the named codecs take and give. */
export interface NamedCodecs {
  bytes: Uint8Array
  string: string
  number: number
  json: unknown
}

/**
 * How a topic, agent or table says what its keys or values are: the name of a built-in codec, a `Codec`, or any
 * Standard Schema (zod, valibot, arktype), which means JSON validated on both sides.
 */
export type CodecSpec = keyof NamedCodecs | Codec<never, unknown> | StandardSchemaV1

/** What `send` takes for a spec. */
export type InputOf<S extends CodecSpec> = S extends keyof NamedCodecs
  ? NamedCodecs[S]
  : S extends Codec<infer In, unknown>
    ? In
    : S extends StandardSchemaV1
      ? StandardSchemaV1.InferInput<S>
      : never

/** What reading yields for a spec. */
export type OutputOf<S extends CodecSpec> = S extends keyof NamedCodecs
  ? S extends 'bytes'
    ? Buffer
    : NamedCodecs[S]
  : S extends Codec<never, infer Out>
    ? Out
    : S extends StandardSchemaV1
      ? StandardSchemaV1.InferOutput<S>
      : never

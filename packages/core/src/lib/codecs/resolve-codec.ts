import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Codec } from '../../contracts/codec.ts'
import type { ErrorCode } from '../errors/error-table.ts'
import { CodecWaitsError, isMillraceError, MillraceError, toError } from '../errors/millrace-error.ts'
import { json, jsonCodec } from './json-codec.ts'
import { bytesCodec, numberCodec, stringCodec } from './plain-codecs.ts'

/** The input and output types of the named codecs. */
export interface NamedCodecs {
  bytes: Uint8Array
  string: string
  number: number
  json: unknown
}

/**
 * The declaration of the keys or values of a topic, agent or table: the name of a built-in codec, a `Codec`, or any
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

/**
 * The use of a codec: keys need equal bytes for equal values, and rows of tables must survive a round trip unchanged.
 */
export type CodecRole = 'key' | 'value' | 'row'

const namedCodecs: { readonly [Name in keyof NamedCodecs]: Codec<never, unknown> } = {
  bytes: bytesCodec,
  string: stringCodec,
  number: numberCodec,
  json: jsonCodec,
}

/**
 * The codec of a spec. It throws `ENCODE_FAILED`, `DECODE_FAILED`, `SCHEMA_MISMATCH` or `SCHEMA_ASYNC`, each with role
 * and location, so callers need not wrap the error again.
 *
 * @param where what the codec belongs to, for messages: `topic "orders"`, `table "counts"`
 * @throws `CODEC_UNKNOWN` when the spec is not a codec name, `Codec` or Standard Schema
 */
export function resolveCodec<S extends CodecSpec>(
  spec: S,
  role: CodecRole,
  where: string,
): Codec<InputOf<S>, OutputOf<S>>
export function resolveCodec(spec: CodecSpec, role: CodecRole, where: string): Codec<never, unknown> {
  const codec = codecOf(spec, where)
  if (role === 'key') return named(hasForm(codec, 'forKeys') ? codec.forKeys : codec, role, where)
  return named(role === 'row' && hasForm(codec, 'forRows') ? codec.forRows : codec, 'value', where)
}

function codecOf(spec: unknown, where: string): Codec<never, unknown> {
  if (typeof spec === 'string' && Object.hasOwn(namedCodecs, spec)) return namedCodecs[spec as keyof NamedCodecs]
  if (isStandardSchema(spec)) return json(spec)
  if (isCodec(spec)) return spec
  const got = typeof spec === 'string' ? `'${spec}'` : spec === null ? 'null' : `a ${typeof spec}`
  throw new MillraceError('CODEC_UNKNOWN', `The ${where} was given ${got} as its codec.`)
}

function named(codec: Codec<never, unknown>, role: 'key' | 'value', where: string): Codec<never, unknown> {
  return {
    name: codec.name,
    ...(codec.missing === undefined ? {} : { missing: codec.missing.bind(codec) }),
    ...(codec.encodeText === undefined ? {} : { encodeText: codec.encodeText.bind(codec) }),
    encode(value) {
      try {
        const bytes = codec.encode(value)
        if (Buffer.isBuffer(bytes)) return bytes
      } catch (thrown) {
        throw failure('ENCODE_FAILED', thrown, role, where, codec.name)
      }
      throw new MillraceError('ENCODE_FAILED', `The ${role} for ${where}: codec ${codec.name} gave no Buffer.`)
    },
    decode(bytes) {
      try {
        return codec.decode(bytes)
      } catch (thrown) {
        throw failure('DECODE_FAILED', thrown, role, where, codec.name)
      }
    },
  }
}

function failure(code: ErrorCode, thrown: unknown, role: CodecRole, where: string, name: string): MillraceError {
  if (thrown instanceof CodecWaitsError) return thrown
  const side = code === 'ENCODE_FAILED' ? 'for' : 'from'
  // The same error with the location added. With the first error as its cause it would say everything twice.
  if (isMillraceError(thrown))
    return new MillraceError(thrown.code, `The ${role} ${side} ${where}: ${thrown.detail}`, causeOf(thrown))
  const error = toError(thrown)
  return new MillraceError(code, `The ${role} ${side} ${where}, codec ${name}: ${error.message}`, { cause: error })
}

function causeOf({ cause }: Error): { readonly cause?: unknown } {
  return cause === undefined ? {} : { cause }
}

// A schema may also be a function (arktype), or have methods named encode and decode (zod): the standard property decides.
function isStandardSchema(spec: unknown): spec is StandardSchemaV1 {
  return ((typeof spec === 'object' && spec !== null) || typeof spec === 'function') && '~standard' in spec
}

function isCodec(spec: unknown): spec is Codec<never, unknown> {
  if (typeof spec !== 'object' || spec === null) return false
  return (
    'name' in spec &&
    'encode' in spec &&
    typeof spec.encode === 'function' &&
    'decode' in spec &&
    typeof spec.decode === 'function'
  )
}

function hasForm<F extends 'forKeys' | 'forRows'>(
  codec: Codec<never, unknown> & { readonly [Form in F]?: unknown },
  form: F,
): codec is Codec<never, unknown> & { readonly [Form in F]: Codec<never, unknown> } {
  return isCodec(codec[form])
}

/**
 * A key typed as text (in a path, a query, on a command line) as its encoded bytes: text for `string` and `bytes`, a
 * decimal number for `number`, JSON for `json`. It is decoded and encoded again, so that `1.0` finds the key `1` and
 * `{"b":1,"a":2}` its canonical form.
 *
 * @param where what the key belongs to, for messages: `table "counts"`
 * @throws `KEY_INVALID`
 */
export function keyFromText<K>(codec: Codec<K>, text: string, where: string): Buffer {
  try {
    return codec.encodeText?.(text) ?? codec.encode(codec.decode(Buffer.from(text, 'utf8')))
  } catch (thrown) {
    const error = toError(thrown)
    throw new MillraceError('KEY_INVALID', `${JSON.stringify(text)} is no ${codec.name} key of ${where}.`, {
      cause: error,
    })
  }
}

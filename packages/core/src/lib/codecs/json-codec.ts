import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Codec } from '../../contracts/codec.ts'
import { canonicalJson } from './canonical-json.ts'
import { assertComesBack, assertJsonValue } from './json-value.ts'
import { decodeUtf8, encodeUtf8 } from './utf8.ts'
import { validateWith } from './validate-with.ts'

/** A codec that writes keys and the rows of tables in other ways than the values of topics: as keys, equal values must be equal bytes. */
export interface KeyableCodec<In, Out = In> extends Codec<In, Out> {
  /** The same codec with canonical output. */
  readonly forKeys: Codec<In, Out>
  /** The same codec for values that must come back as they went in: what would not is refused (dates, instances of classes). */
  readonly forRows: Codec<In, Out>
}

/**
 * JSON of a known type. With a schema (any Standard Schema: zod, valibot, arktype) both sides are validated: sending
 * takes and writes the schema's input, reading yields its output. Without one the type is believed, not checked.
 * As keys, objects are written with sorted names.
 *
 * Throws `SCHEMA_MISMATCH`, and `SCHEMA_ASYNC` for a schema with asynchronous checks.
 *
 * @example
 * const Order = z.object({ id: z.string(), total: z.number() })
 * const orders = app.topic('orders', { key: 'string', value: json(Order) })
 * const clicks = app.topic('clicks', { value: json<{ page: string }>() })
 */
export function json<T = unknown>(): KeyableCodec<T>
export function json<S extends StandardSchemaV1>(
  schema: S,
): KeyableCodec<StandardSchemaV1.InferInput<S>, StandardSchemaV1.InferOutput<S>>
export function json(schema?: StandardSchemaV1): KeyableCodec<unknown> {
  const read = schema === undefined ? parse : (bytes: Buffer): unknown => validateWith(schema, parse(bytes))
  const checked = schema === undefined ? (value: unknown) => value : validated(schema)
  return {
    name: 'json',
    encode(value) {
      const wanted = checked(value)
      assertJsonValue(wanted)
      return encodeUtf8(JSON.stringify(wanted))
    },
    decode: read,
    forRows: {
      name: 'json',
      encode(value) {
        const wanted = checked(value)
        assertComesBack(wanted)
        return encodeUtf8(JSON.stringify(wanted))
      },
      decode: read,
    },
    forKeys: { name: 'json', encode: (value) => encodeUtf8(canonicalJson(checked(value))), decode: read },
  }
}

/** The built-in `'json'`: any JSON value, of unknown type. */
export const jsonCodec: KeyableCodec<unknown> = json()

function parse(bytes: Buffer): unknown {
  return JSON.parse(decodeUtf8(bytes))
}

/** Checks a value and gives back the value itself: what is written is the schema's input. */
function validated(schema: StandardSchemaV1): (value: unknown) => unknown {
  return (value) => {
    validateWith(schema, value)
    return value
  }
}

import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Codec } from '../../contracts/codec.ts'
import { MillraceError } from '../errors/millrace-error.ts'
import { assertComesBack, assertJsonValue } from './json-value.ts'
import { DEEPEST, isTooDeep } from './nesting.ts'
import { decodeUtf8, encodeUtf8 } from './plain-codecs.ts'

/** A codec with different encodings for keys, rows of tables and values of topics: equal keys must have equal bytes. */
export interface KeyableCodec<In, Out = In> extends Codec<In, Out> {
  /** The same codec with canonical output. */
  readonly forKeys: Codec<In, Out>
  /**
   * The same codec for values that must survive a round trip unchanged: it refuses those that would not (dates,
   * instances of classes).
   */
  readonly forRows: Codec<In, Out>
}

/**
 * JSON of a known type. With a schema (any Standard Schema: zod, valibot, arktype) both sides are validated: sending
 * takes and writes the schema's input, reading yields its output. Without a schema the type is assumed, not checked. As
 * keys, objects are written with sorted names. Values nested more than 500 deep are refused on both sides.
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
  const text = decodeUtf8(bytes)
  if (isTooDeep(text)) throw new TypeError(`The value is nested more than ${DEEPEST} deep.`)
  return JSON.parse(text)
}

/** Checks a value and returns the value itself, because the schema's input is what is written. */
function validated(schema: StandardSchemaV1): (value: unknown) => unknown {
  return (value) => {
    validateWith(schema, value)
    return value
  }
}

/**
 * JSON text that depends on the value alone: names sorted by code unit, no spaces. Two equal keys written by two
 * producers are then the same bytes, and so the same key. Throws for what JSON cannot hold.
 *
 * @example
 * canonicalJson({ b: 1, a: 2 }) // '{"a":2,"b":1}'
 */
export function canonicalJson(value: unknown): string {
  assertJsonValue(value)
  return write(value, [])
}

function write(value: unknown, parents: readonly object[]): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (parents.includes(value)) throw new TypeError('JSON cannot hold a value that contains itself.')
  const path = [...parents, value]
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    const plain: unknown = value.toJSON()
    assertJsonValue(plain)
    return write(plain, path)
  }
  if (Array.isArray(value)) return `[${value.map((part) => write(part, path)).join(',')}]`
  const parts = value as Readonly<Record<string, unknown>>
  let members = ''
  for (const name of Object.keys(parts).sort()) {
    const part = parts[name]
    if (part !== undefined) members += `${members === '' ? '' : ','}${JSON.stringify(name)}:${write(part, path)}`
  }
  return `{${members}}`
}

/**
 * The output of a schema for a value. Throws `SCHEMA_MISMATCH` with the path and message of each issue (the first
 * five), and `SCHEMA_ASYNC` if the schema answers with a promise, because decoding cannot wait.
 */
export function validateWith<S extends StandardSchemaV1>(schema: S, value: unknown): StandardSchemaV1.InferOutput<S>
export function validateWith(schema: StandardSchemaV1, value: unknown): unknown {
  const { validate, vendor } = schema['~standard']
  const result = validate(value)
  if (result instanceof Promise) {
    result.catch(ignoreOutcome)
    throw new MillraceError('SCHEMA_ASYNC', `The ${vendor} schema answered with a promise.`)
  }
  if (result.issues === undefined) return result.value
  throw new MillraceError('SCHEMA_MISMATCH', describeIssues(result.issues))
}

const MOST_ISSUES = 5

function describeIssues(issues: readonly StandardSchemaV1.Issue[]): string {
  const told = issues.slice(0, MOST_ISSUES).map(describeIssue)
  const more = issues.length > MOST_ISSUES ? [`and ${issues.length - MOST_ISSUES} more`] : []
  return `${[...told, ...more].join('; ')}.`
}

function describeIssue({ path, message }: StandardSchemaV1.Issue): string {
  const sentence = message.replace(/\.$/, '')
  if (path === undefined || path.length === 0) return sentence
  return `${path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')}: ${sentence}`
}

/** A validation that was refused for being asynchronous may still settle; its outcome is ignored. */
function ignoreOutcome(): void {}

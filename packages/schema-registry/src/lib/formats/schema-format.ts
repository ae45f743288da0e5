import type { Schema, SchemaType } from '../registry/schema.ts'

/** Reads the value behind the header of a record. */
export type ReadValue = (bytes: Buffer) => unknown

/** Writes a value behind five bytes that are left free for the header. Throws if the value does not match. */
export type WriteValue = (value: unknown) => Buffer

/** One kind of schema: what can be done with it. */
export interface SchemaFormat {
  /** Name of its codecs. */
  readonly codec: 'avro' | 'protobuf' | 'json-schema'
  readonly type: SchemaType
  /** The schema in the code; `undefined` if the registry has it. */
  readonly schema: Schema | undefined
  /** The full name of what a schema describes, for subjects that are named after it. Throws `SCHEMA_INVALID`. */
  recordName(schema: Schema): string
  /** Reads what was written with `writer` as a value of `reader`. Throws `SCHEMA_INCOMPATIBLE`, `SCHEMA_INVALID`. */
  reader(writer: Schema, reader: Schema): ReadValue
  /** `canonical`: equal values must give equal bytes. Throws `SCHEMA_INVALID`. */
  writer(schema: Schema, canonical: boolean): WriteValue
}

/** The header of Confluent's wire format: a zero, and the id of the schema. */
export const HEADER_BYTES = 5

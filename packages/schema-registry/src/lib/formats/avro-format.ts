import { errorText, MillraceError } from '@millrace/core'
import avsc, { type Schema as AvscSchema, type Type } from 'avsc'
import type { Schema } from '../registry/schema.ts'
import { HEADER_BYTES, type ReadValue, type SchemaFormat, type WriteValue } from './schema-format.ts'

/** How Avro's 64 bit integers are read and written. */
export type AvroLong = 'number' | 'bigint'

/** Bytes of the buffer in which values are written before they are copied. */
const SCRATCH_BYTES = 4096

/** `long`: a number must be a safe integer. */
export function avroFormat(schema: string | object | undefined, long: AvroLong): SchemaFormat {
  const parse = (from: Schema): Type => parsed(from, long)
  return {
    codec: 'avro',
    type: 'AVRO',
    schema: schema === undefined ? undefined : { type: 'AVRO', text: textOf(schema), references: [] },
    recordName: (of) => {
      const { name } = parse(of)
      if (name === undefined) throw new MillraceError('SCHEMA_INVALID', 'The Avro schema is of a type without a name.')
      return name
    },
    reader: (writer, reader) => readerOf(parse(writer), parse(reader), writer.text === reader.text),
    writer: (of, canonical) => {
      const type = parse(of)
      if (canonical) assertOrdered(type)
      return writerOf(type)
    },
  }
}

/** The types of a schema, named types of its references included. Throws `SCHEMA_INVALID`. */
export function parsed(schema: Schema, long: AvroLong): Type {
  const registry: Record<string, Type> = long === 'bigint' ? { long: bigLong } : {}
  const options = { registry, omitRecordMethods: true, typeHook: () => undefined }
  try {
    for (const { text } of schema.references) plain(avsc.Type.forSchema(schemaIn(text), options))
    return plain(avsc.Type.forSchema(schemaIn(schema.text), options))
  } catch (error) {
    throw new MillraceError('SCHEMA_INVALID', `The Avro schema cannot be used: ${errorText(error)}.`, { cause: error })
  }
}

function textOf(schema: string | object): string {
  if (typeof schema === 'object') return JSON.stringify(schema)
  // A file, or the name of a type.
  return schema.trimStart().startsWith('{') || schema.trimStart().startsWith('[') ? schema : JSON.stringify(schema)
}

/** The text of a schema may be that of a name: "string". */
function schemaIn(text: string): AvscSchema {
  return JSON.parse(text)
}

function readerOf(writer: Type, reader: Type, isSame: boolean): ReadValue {
  if (isSame) return (bytes) => valueIn(reader.decode(bytes, HEADER_BYTES))
  let resolver: ReturnType<Type['createResolver']>
  try {
    // avsc finds this only by accident.
    if (
      reader.typeName === 'record' &&
      !['record', 'error', 'union:wrapped', 'union:unwrapped'].includes(writer.typeName)
    )
      throw new Error(`a record cannot be read from ${writer.typeName}`)
    resolver = reader.createResolver(writer)
  } catch (error) {
    throw new MillraceError(
      'SCHEMA_INCOMPATIBLE',
      `The schema of the reader cannot read what this one has written: ${errorText(error)}.`,
      { cause: error },
    )
  }
  return (bytes) => valueIn(reader.decode(bytes, HEADER_BYTES, resolver))
}

function valueIn({ value, offset }: { readonly value: unknown; readonly offset: number }): unknown {
  if (offset < 0) throw new TypeError('The bytes end within the value.')
  return value
}

function writerOf(type: Type): WriteValue {
  let scratch = Buffer.allocUnsafe(SCRATCH_BYTES)
  const encode = (value: unknown, into: Buffer): number => {
    try {
      return type.encode(value, into, HEADER_BYTES)
    } catch (error) {
      throw mismatch(type, value, error)
    }
  }
  return (value) => {
    let end = encode(value, scratch)
    if (end < 0) {
      // It says how many bytes it lacks.
      const larger = Buffer.allocUnsafe(scratch.length - end)
      end = encode(value, larger)
      if (larger.length > SCRATCH_BYTES * 16) return larger.subarray(0, end)
      scratch = larger
    }
    return Buffer.from(scratch.subarray(0, end))
  }
}

/** The error of avsc says what is wrong, and not where. */
function mismatch(type: Type, value: unknown, error: unknown): MillraceError {
  const places: string[] = []
  type.isValid(value, { errorHook: (path) => void places.push(path.join('.')) })
  const [place] = places
  const where = place === undefined || place === '' ? '' : `${place}: `
  return new MillraceError('SCHEMA_MISMATCH', `${where}${errorText(error)}.`)
}

/** 64 bit integers as BigInt. */
const bigLong: Type = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
})

/** Calls `visit` for a type and all types in it, each once. */
export function eachType(type: Type, visit: (type: Type) => void, seen: Set<Type> = new Set()): void {
  if (seen.has(type)) return
  seen.add(type)
  visit(type)
  for (const inner of innerTypes(type)) eachType(inner, visit, seen)
}

function innerTypes(type: Type): readonly Type[] {
  if (avsc.Type.isType(type, 'record', 'error'))
    return (type as avsc.types.RecordType).fields.map((field) => field.type)
  if (avsc.Type.isType(type, 'array')) return [(type as avsc.types.ArrayType).itemsType]
  if (avsc.Type.isType(type, 'map')) return [(type as avsc.types.MapType).valuesType]
  if (avsc.Type.isType(type, 'union')) return (type as avsc.types.UnwrappedUnionType).types
  if (avsc.Type.isType(type, 'logical')) return [(type as avsc.types.LogicalType).underlyingType]
  return []
}

/** Records become plain objects, as JSON gives them, rather than instances of classes that avsc makes. */
function plain(type: Type): Type {
  eachType(type, (each) => {
    if (avsc.Type.isType(each, 'record', 'error'))
      Object.defineProperty((each as avsc.types.RecordType).recordConstructor, 'prototype', { value: Object.prototype })
  })
  return type
}

/** Throws `SCHEMA_INVALID` for maps: equal ones may have their entries in any order, and so different bytes. */
function assertOrdered(type: Type): void {
  eachType(type, (each) => {
    if (avsc.Type.isType(each, 'map'))
      throw new MillraceError(
        'SCHEMA_INVALID',
        'The schema of a key has a map, and equal maps may be written in different ways: use an array of records.',
      )
  })
}

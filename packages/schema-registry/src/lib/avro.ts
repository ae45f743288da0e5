import { checkOptions, MillraceError, type OptionNames, type TopicCodec } from '@millrace/core'
import { avroFormat, type AvroLong } from './formats/avro-format.ts'
import { registryCodec } from './registry-codecs.ts'
import type { RegistryCodecOptions } from './registry/subjects.ts'

/** Options of `avro`. */
export interface AvroOptions extends RegistryCodecOptions {
  /** The schema: an object, or its JSON as text. Default: the newest schema of the subject, as of the app's start. */
  readonly schema?: string | object | undefined
  /**
   * How 64 bit integers are read and written: `'number'`, which must be a safe integer (up to 2⁵³), or `'bigint'`.
   * Default `'number'`.
   */
  readonly long?: AvroLong | undefined
}

const OPTIONS: OptionNames<AvroOptions> = { schema: true, subject: true, strategy: true, register: true, long: true }

/**
 * Values in Avro, with their schema in the registry of the setting `schemaRegistry`. Records are read as values of this
 * schema, whatever schema they were written with: fields that they lack get their default. Bytes and fixed values are
 * buffers, enums text; a union is the value itself, or, where that could be of two of its types, `{ [type]: value }`.
 * Logical types are what they are stored as: a `timestamp-millis` is a number.
 *
 * Throws `SCHEMA_INVALID` where it is declared, and `SCHEMA_MISMATCH` when a value is sent that does not fit the schema.
 *
 * @example
 * const orders = app.topic('orders', {
 *   value: avro<Order>({
 *     schema: { type: 'record', name: 'Order', fields: [{ name: 'id', type: 'string' }, { name: 'total', type: 'double' }] },
 *   }),
 * })
 */
export function avro<T = unknown>(options: AvroOptions = {}): TopicCodec<T> {
  checkOptions('avro()', options, OPTIONS)
  const { schema, long = 'number' } = options
  if (long !== 'number' && long !== 'bigint')
    throw new MillraceError('DEFINITION_INVALID', `long of avro() is ${String(long)}; it takes 'number' or 'bigint'.`)
  return registryCodec<T>(avroFormat(schema, long), options)
}

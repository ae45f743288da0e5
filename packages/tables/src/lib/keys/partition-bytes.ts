import { encodeUtf8, MillraceError } from '@millrace/core'

/** What `partitionBy` may give: the key of the source topic that the table's key belongs to. */
export type PartitionKey = string | number | Uint8Array

/** A partition key as the source topic has it: text and numbers as the `string` and `number` codecs write them. */
export function partitionBytes(key: PartitionKey, where: string): Buffer {
  if (typeof key === 'string') return encodeUtf8(key)
  if (typeof key === 'number') return encodeUtf8(String(key))
  if (key instanceof Uint8Array) return Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  throw new MillraceError(
    'DEFINITION_INVALID',
    `partitionBy of ${where} gave ${key === null ? 'null' : typeof key}, not text, a number or bytes.`,
  )
}

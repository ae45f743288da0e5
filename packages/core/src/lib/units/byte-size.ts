import { MillraceError } from '../errors/millrace-error.ts'
import { shownValue } from '../errors/shown-value.ts'
import { UnitText } from './unit-text.ts'

/**
 * A number of bytes, or text with a unit (powers of 1024).
 *
 * @example
 * const limit: ByteSize = '32mb' // or 33_554_432, '512kb', '1gb'
 */
export type ByteSize = number | `${number}${'b' | 'kb' | 'mb' | 'gb'}`

const BYTES = new UnitText(
  /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i,
  [
    ['gb', 1024 ** 3],
    ['mb', 1024 ** 2],
    ['kb', 1024],
    ['b', 1],
  ],
  'b',
)

/**
 * A size in bytes. Text without a unit is bytes too.
 *
 * @param where what the size belongs to, for the message: `setting maxRecordBytes`
 * @throws `SIZE_INVALID` for what is negative, no whole number of bytes, or unreadable
 * @example
 * parseByteSize('1mb', 'setting maxRecordBytes') // 1048576
 */
export function parseByteSize(value: unknown, where: string): number {
  const bytes = readByteSize(value)
  if (bytes !== undefined) return bytes
  throw new MillraceError('SIZE_INVALID', `The size of ${where} is ${shownValue(value)}.`)
}

/** Like `parseByteSize`, but `undefined` for an invalid size. */
export function readByteSize(value: unknown): number | undefined {
  const bytes = BYTES.read(value)
  return typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
}

/**
 * Text for a size, in the largest unit that gives a whole number.
 *
 * @example
 * formatByteSize(33_554_432) // '32mb'
 */
export function formatByteSize(bytes: number): string {
  return BYTES.format(bytes)
}

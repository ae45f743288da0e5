import { MillraceError } from '../errors/millrace-error.ts'

/**
 * A number of bytes, or text with a unit (powers of 1024).
 *
 * @example
 * const limit: ByteSize = '32mb' // or 33_554_432, '512kb', '1gb'
 */
export type ByteSize = number | `${number}${'b' | 'kb' | 'mb' | 'gb'}`

const UNITS = [
  ['gb', 1024 ** 3],
  ['mb', 1024 ** 2],
  ['kb', 1024],
  ['b', 1],
] as const

const TEXT = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i

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
  const got = typeof value === 'string' ? `'${value}'` : String(value)
  throw new MillraceError('SIZE_INVALID', `The size of ${where} is ${got}.`)
}

/** Like `parseByteSize`, but `undefined` for an invalid size. */
export function readByteSize(value: unknown): number | undefined {
  const bytes = typeof value === 'string' ? textToBytes(value) : value
  return typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
}

/**
 * Text for a size, in the largest unit that gives a whole number.
 *
 * @example
 * formatByteSize(33_554_432) // '32mb'
 */
export function formatByteSize(bytes: number): string {
  for (const [unit, unitBytes] of UNITS) {
    if (bytes >= unitBytes && bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`
  }
  return `${bytes}b`
}

function textToBytes(text: string): number | undefined {
  const match = TEXT.exec(text.trim())
  if (match === null) return undefined
  const unit = match[2]?.toLowerCase() ?? 'b'
  const unitBytes = UNITS.find(([name]) => name === unit)?.[1]
  return unitBytes === undefined ? undefined : Number(match[1]) * unitBytes
}

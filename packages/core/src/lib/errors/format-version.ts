import type { RawHeaders, TopicPartition } from '../../contracts/record.ts'
import { MillraceError } from './millrace-error.ts'

/**
 * Throws `FORMAT_NEWER` for data that a later version of Millrace has written in a format that this version does not
 * know.
 *
 * @param what what it is and where, as the subject of a sentence
 * @param version as it was found; the caller handles anything that is not a number
 * @param known the highest version that is supported here
 * @example
 * refuseNewer(`What ${topic} says about job "${job}"`, row.v, 1)
 */
export function refuseNewer(what: string, version: unknown, known: number): void {
  if (typeof version !== 'number' || !(version > known)) return
  throw new MillraceError('FORMAT_NEWER', `${what} has format ${version}, and this version reads format ${known}.`)
}

/**
 * Header of a changelog row with its format number, which says how key and value are encoded. A row without it has
 * format 1, the only one so far.
 */
export const ROW_FORMAT_HEADER = 'millrace-row-format'
const ROW_FORMAT = 1

/**
 * Throws `FORMAT_NEWER` for a row of a changelog, or of the topic of a global table, with a later format, and
 * `ROW_UNDECODABLE` if the header has no valid format: the meaning of the row is then unknown.
 */
export function assertRowFormat(headers: RawHeaders, { topic, partition }: TopicPartition, offset: number): void {
  if (headers.length === 0) return
  const header = headers.find(([name]) => name === ROW_FORMAT_HEADER)
  if (header === undefined) return
  const text = header[1]?.toString('latin1') ?? ''
  const format = /^\d+$/.test(text) ? Number(text) : 0
  const what = `The row at offset ${offset} of ${topic}/${partition}`
  refuseNewer(what, format, ROW_FORMAT)
  if (format !== ROW_FORMAT)
    throw new MillraceError(
      'ROW_UNDECODABLE',
      `${what} has ${JSON.stringify(text.slice(0, 40))} for its format, in the header ${ROW_FORMAT_HEADER}.`,
    )
}

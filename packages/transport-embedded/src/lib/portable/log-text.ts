import {
  type CommitOffset,
  isMillraceError,
  MillraceError,
  type RawHeaders,
  type RawRecord,
  refuseNewer,
  toError,
} from '@millrace/core'
import type { RowContents } from '../durable/batch-row.ts'

/**
 * A log as text, one JSON value a line, so that it outlives the format on disk. Bytes are base64, `null` means none.
 *
 *     {"millrace":"log","version":1,"durability":"disk"}
 *     {"topic":"words","id":"…","partitions":2,"config":{"cleanup.policy":"compact"}}      then its partitions
 *     {"partition":0,"start":5,"end":20}                                                   then its batches, by offset
 *     {"batch":5,"span":10,"appendedAt":1764284400000,"records":[[0,1764284399000,"a2V5",null,[["name","dg=="]]],…]}
 *     {"group":"app","topic":"words","partition":0,"offset":12,"metadata":"m1 count:0"}
 *     {"summary":{"records":17,"sha256":"…"}}
 *
 * A record is `[offset - batch, timestamp, key, value, headers]`; offsets without one were compacted away. All records
 * are committed, because a log stores a transaction as a whole. Members of groups and numbers of producers are left
 * out. The digest covers all lines before the last one.
 */
export type LogLine =
  | { readonly millrace: 'log'; readonly version: number; readonly durability: 'disk' | 'process' }
  | {
      readonly topic: string
      readonly id: string
      readonly partitions: number
      readonly config: Readonly<Record<string, string>>
    }
  | { readonly partition: number; readonly start: number; readonly end: number }
  | BatchLine
  | ({ readonly group: string } & CommitOffset)
  | { readonly summary: LogSummary }

interface BatchLine {
  readonly batch: number
  readonly span: number
  readonly appendedAt: number
  readonly records: readonly RecordText[]
}

type RecordText = readonly [
  delta: number,
  timestamp: number,
  key: string | null,
  value: string | null,
  headers: readonly (readonly [string, string | null])[],
]

/** The summary of a whole text. */
export interface LogSummary {
  readonly records: number
  readonly sha256: string
}

export const TEXT_VERSION = 1

export function encodeLine(line: LogLine): Buffer {
  return Buffer.from(`${JSON.stringify(line)}\n`)
}

export function batchLine(
  base: number,
  row: { readonly span: number; readonly appendedAt: number; readonly records: readonly RawRecord[] },
): LogLine {
  const { span, appendedAt } = row
  const records = row.records.map(({ offset, timestamp, key, value, headers }): RecordText => [
    offset - base,
    timestamp,
    textOf(key),
    textOf(value),
    headers.map(([name, bytes]) => [name, textOf(bytes)] as const),
  ])
  return { batch: base, span, appendedAt, records }
}

/** The contents of a line; `undefined` if it is not a line of such a text. Throws `FORMAT_NEWER`. */
export function decodeLine(text: string): LogLine | undefined {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof json !== 'object' || json === null) return undefined
  if ('millrace' in json && 'version' in json) {
    if (json.millrace === 'log') refuseNewer('The text of a log', json.version, TEXT_VERSION)
    const durability = 'durability' in json ? json.durability : undefined
    if (json.millrace !== 'log' || json.version !== TEXT_VERSION) return undefined
    return durability === 'disk' || durability === 'process'
      ? { millrace: 'log', version: TEXT_VERSION, durability }
      : undefined
  }
  return isBody(json) ? json : undefined
}

/** The types of the fields of a line, by the field that identifies it. Extra fields are ignored. */
const FIELDS: Readonly<Record<string, Readonly<Record<string, (value: unknown) => boolean>>>> = {
  group: { group: isText, topic: isText, partition: isCount, offset: isCount, metadata: isText },
  topic: { topic: isText, id: isText, partitions: isCount, config: isTexts },
  partition: { partition: isCount, start: isCount, end: isCount },
  batch: { batch: isCount, span: isCount, appendedAt: Number.isFinite, records: isRecords },
  summary: { summary: isSummary },
}

function isBody(json: object): json is LogLine {
  const fields = new Map(Object.entries(json))
  const kind = Object.keys(FIELDS).find((name) => fields.has(name))
  return kind !== undefined && Object.entries(FIELDS[kind] ?? {}).every(([name, isRight]) => isRight(fields.get(name)))
}

/** The row of a batch; its records must lie within it, in order. Throws a plain `Error` if they do not. */
export function rowOf({ span, appendedAt, records }: BatchLine): RowContents & { readonly deltas: readonly number[] } {
  let next = 0
  const deltas = records.map(([delta]) => {
    if (delta < next || delta >= span) throw new Error(`its records do not fit into ${span} offsets`)
    next = delta + 1
    return delta
  })
  return {
    span,
    appendedAt,
    deltas,
    records: records.map(([, timestamp, key, value, headers]) => ({
      timestamp,
      key: bytesOf(key),
      value: bytesOf(value),
      headers: headers.map(([name, bytes]): RawHeaders[number] => [name, bytesOf(bytes)]),
    })),
  }
}

/** Adds the line number to an error. */
export function inLine<T>(line: number, read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    if (isMillraceError(thrown)) throw thrown
    throw new MillraceError('LOG_TEXT_BROKEN', `Line ${line} cannot be used: ${toError(thrown).message}.`, {
      cause: thrown,
    })
  }
}

function textOf(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('base64')
}

function bytesOf(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64')
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** `Buffer.from` would skip invalid base64, and return other bytes than were exported. */
function isBytesOrNull(value: unknown): boolean {
  return value === null || (isText(value) && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value))
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isTexts(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.values(value).every(isText)
}

function isRecords(value: unknown): boolean {
  return Array.isArray(value) && value.every(isRecord)
}

function isRecord(value: unknown): boolean {
  if (!Array.isArray(value)) return false
  const [delta, timestamp, key, bytes, headers]: unknown[] = value
  return (
    isCount(delta) &&
    typeof timestamp === 'number' &&
    isBytesOrNull(key) &&
    isBytesOrNull(bytes) &&
    Array.isArray(headers) &&
    headers.every((header: unknown) => Array.isArray(header) && isText(header[0]) && isBytesOrNull(header[1]))
  )
}

function isSummary(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && 'records' in value && 'sha256' in value && isCount(value.records)
  )
}

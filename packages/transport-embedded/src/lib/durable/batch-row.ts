import { crc32 } from 'node:zlib'
import { NO_HEADERS, type RawHeaders, type RawRecord } from '@millrace/core'

/**
 * One row of the log: a range of offsets of one partition, with the records that are left of it.
 *
 *     u8 format | u8 0 | u16 0 | u32 crc of place and what follows | u32 records | u32 span | f64 appendedAt | records
 *     record: u32 offset - base | f64 timestamp | i32 key | i32 value | u32 headers | key | value
 *             | headers: i32 name | i32 value | name | value               (lengths in bytes, -1 for null)
 */
export interface BatchRow {
  /** How many offsets it covers, with or without records: the next row starts at base + span. */
  readonly span: number
  /** Wall time of the append. */
  readonly appendedAt: number
  readonly records: readonly RawRecord[]
  readonly bytes: number
}

const FORMAT = 2
const CRC_AT = 4
const CHECKED_FROM = 8
const HEADER_BYTES = 24
const RECORD_BYTES = 24
const RECORD_HEADER_BYTES = 8

type Stored = Omit<RawRecord, 'offset'>

/** The location of a row. It is part of the checksum, so that a row in a wrong place is invalid. */
export interface RowPlace {
  /** `StoredTopic.number` */
  readonly topic: number
  readonly partition: number
  readonly base: number
}

export interface RowContents {
  readonly span: number
  readonly appendedAt: number
  readonly records: readonly Stored[]
  /** The offset of each record from the row's base; `undefined` if they are consecutive from 0. */
  readonly deltas?: readonly number[]
}

export function encodeRow({ span, appendedAt, records, deltas }: RowContents, place: RowPlace): Buffer {
  let size = HEADER_BYTES
  for (const record of records) size += storedSize(record)
  const row = Buffer.allocUnsafe(size)
  row.writeUInt32LE(FORMAT, 0)
  row.writeUInt32LE(records.length, 8)
  row.writeUInt32LE(span, 12)
  row.writeDoubleLE(appendedAt, 16)
  let at = HEADER_BYTES
  for (let index = 0; index < records.length; index++) {
    const record = records[index]
    if (record !== undefined) at = writeRecord(row, at, record, deltas?.[index] ?? index)
  }
  row.writeUInt32LE(checksum(row, place), CRC_AT)
  return row
}

/** `undefined` if the row is damaged. Keys and values are views of `row`. */
export function decodeRow(row: Buffer, place: RowPlace): BatchRow | undefined {
  const frame = decodeFrame(row, place)
  if (frame === undefined) return undefined
  const count = row.readUInt32LE(8)
  const records: RawRecord[] = []
  let at = HEADER_BYTES
  let bytes = 0
  for (let index = 0; index < count; index++) {
    const offset = place.base + row.readUInt32LE(at)
    const timestamp = row.readDoubleLE(at + 4)
    const keyLength = row.readInt32LE(at + 12)
    const valueLength = row.readInt32LE(at + 16)
    const headerCount = row.readUInt32LE(at + 20)
    at += RECORD_BYTES
    const key = view(row, at, keyLength)
    at += Math.max(keyLength, 0)
    const value = view(row, at, valueLength)
    at += Math.max(valueLength, 0)
    bytes += Math.max(keyLength, 0) + Math.max(valueLength, 0)
    let headers: RawHeaders = NO_HEADERS
    if (headerCount > 0) {
      const before = at
      ;[headers, at] = readHeaders(row, at, headerCount)
      bytes += at - before - headerCount * RECORD_HEADER_BYTES
    }
    records.push({ offset, timestamp, key, value, headers })
  }
  return { ...frame, records, bytes }
}

/** Span and time of a row, without decoding its records; `undefined` if the row is damaged. */
export function decodeFrame(row: Buffer, place: RowPlace): Pick<BatchRow, 'span' | 'appendedAt'> | undefined {
  if (row.length < HEADER_BYTES || row.readUInt32LE(0) !== FORMAT) return undefined
  if (checksum(row, place) !== row.readUInt32LE(CRC_AT)) return undefined
  return { span: row.readUInt32LE(12), appendedAt: row.readDoubleLE(16) }
}

function checksum(row: Buffer, { topic, partition, base }: RowPlace): number {
  return crc32(row.subarray(CHECKED_FROM), crc32(`${topic} ${partition} ${base}`))
}

function storedSize(record: Stored): number {
  let headerBytes = 0
  if (record.headers.length > 0) {
    for (const [name, value] of record.headers)
      headerBytes += RECORD_HEADER_BYTES + Buffer.byteLength(name) + (value?.length ?? 0)
  }
  return RECORD_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0) + headerBytes
}

function writeRecord(row: Buffer, start: number, record: Stored, delta: number): number {
  const { key, value, headers, timestamp } = record
  row.writeUInt32LE(delta, start)
  row.writeDoubleLE(timestamp, start + 4)
  row.writeInt32LE(key?.length ?? -1, start + 12)
  row.writeInt32LE(value?.length ?? -1, start + 16)
  row.writeUInt32LE(headers.length, start + 20)
  let at = start + RECORD_BYTES
  if (key !== null) at += key.copy(row, at)
  if (value !== null) at += value.copy(row, at)
  for (const [name, bytes] of headers) {
    const nameLength = row.write(name, at + RECORD_HEADER_BYTES)
    row.writeInt32LE(nameLength, at)
    row.writeInt32LE(bytes?.length ?? -1, at + 4)
    at += RECORD_HEADER_BYTES + nameLength
    if (bytes !== null) at += bytes.copy(row, at)
  }
  return at
}

function readHeaders(row: Buffer, start: number, count: number): [RawHeaders, number] {
  const headers: [string, Buffer | null][] = []
  let at = start
  for (let index = 0; index < count; index++) {
    const nameLength = row.readInt32LE(at)
    const valueLength = row.readInt32LE(at + 4)
    at += RECORD_HEADER_BYTES
    const name = row.toString('utf8', at, at + nameLength)
    at += nameLength
    headers.push([name, view(row, at, valueLength)])
    at += Math.max(valueLength, 0)
  }
  return [headers, at]
}

function view(row: Buffer, at: number, length: number): Buffer | null {
  return length < 0 ? null : row.subarray(at, at + length)
}

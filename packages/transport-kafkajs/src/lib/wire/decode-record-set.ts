import { MillraceError, NO_HEADERS, type Isolation, type RawHeaders, type RawRecord } from '@millrace/core'
import { codecOfBatch, type CompressionCodecs } from '../compression/compression.ts'
import { crc32c } from './crc32c.ts'
import { readInt64 } from './wire-reader.ts'

const LENGTH_END = 12
const BATCH_HEADER = 61
const CHECKSUM = 17
/** Where the bytes under the checksum begin. */
const ATTRIBUTES = 21
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const ABORT_MARKER = 0

/** A transaction that was aborted, as the broker tells with each fetch. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface RecordSetOptions {
  /** Where reading goes on; earlier records of the first batch are dropped. */
  readonly position: number
  readonly isolation: Isolation
  readonly aborted: readonly AbortedTransaction[]
  readonly codecs: CompressionCodecs
  readonly verifyChecksums: boolean
}

export interface DecodedRecordSet {
  readonly records: RawRecord[]
  /** Behind the last whole batch, also when compaction or an abort left no record of it; the given position when there is none. */
  readonly nextOffset: number
  /** Of keys, values and headers. */
  readonly bytes: number
}

/**
 * Decodes the record batches of a fetched partition. The last batch may be cut off by the response's limit: it is left
 * for the next fetch. The first one always comes whole. Keys and values share memory with `data`.
 *
 * Throws `BATCH_CORRUPT` when the first batch is damaged; one behind others is left for the next fetch too, so that
 * everything before it is handed out.
 *
 * Under read-committed the broker sends aborted records too, with a list that tells them apart. The list comes
 * unsorted, and a transaction is over at its abort marker only: with transactions of several producers interleaved,
 * both matter.
 */
export function decodeRecordSet(data: Buffer, options: RecordSetOptions): DecodedRecordSet {
  const sink: Sink = { records: [], bytes: 0, position: options.position }
  const committedOnly = options.isolation === 'read-committed'
  const aborted = committedOnly ? [...options.aborted].sort((a, b) => a.firstOffset - b.firstOffset) : []
  const abortedProducers = new Set<number>()
  let begun = 0
  let nextOffset = options.position
  let at = 0
  while (at < data.length) {
    const end = data.length - at < BATCH_HEADER ? Infinity : at + LENGTH_END + data.readInt32BE(at + 8)
    const damage = damageOf(data, at, end) ?? (options.verifyChecksums ? mismatchOf(data, at, end) : undefined)
    if (damage !== undefined && at > 0) break
    if (damage !== undefined) throw new MillraceError('BATCH_CORRUPT', damage)
    const baseOffset = readInt64(data, at)
    const attributes = data.readInt16BE(at + 21)
    const lastOffset = baseOffset + data.readInt32BE(at + 23)
    const producerId = committedOnly ? readInt64(data, at + 43) : -1
    for (let next = aborted[begun]; next !== undefined && next.firstOffset <= lastOffset; next = aborted[++begun]) {
      abortedProducers.add(next.producerId)
    }
    if ((attributes & CONTROL) !== 0) {
      if (committedOnly && isAbortMarker(data, at)) abortedProducers.delete(producerId)
    } else if ((attributes & TRANSACTIONAL) === 0 || !abortedProducers.has(producerId)) {
      decodeBatch(data, at, end, baseOffset, options.codecs, sink)
    }
    nextOffset = Math.max(nextOffset, lastOffset + 1)
    at = end
  }
  return { records: sink.records, bytes: sink.bytes, nextOffset }
}

/** What is wrong with a batch, as a sentence. */
function damageOf(data: Buffer, at: number, end: number): string | undefined {
  if (end > data.length) return 'The batch is cut off.'
  if (end - at < BATCH_HEADER) return `The batch says that it has ${end - at} bytes, less than its header.`
  const magic = data.readInt8(at + 16)
  if (magic !== 2)
    throw new MillraceError(
      'DECODE_FAILED',
      `A batch has message format ${magic}; only 2 (Kafka 0.11 and later) can be read.`,
    )
  return undefined
}

/** How a batch differs from its checksum, as a sentence. */
function mismatchOf(data: Buffer, at: number, end: number): string | undefined {
  const stored = data.readUInt32BE(at + CHECKSUM)
  const computed = crc32c(data.subarray(at + ATTRIBUTES, end))
  if (stored === computed) return undefined
  return `The checksum of the batch is ${hex(stored)}, but that of its ${end - at} bytes is ${hex(computed)}.`
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0')
}

interface Sink {
  readonly records: RawRecord[]
  readonly position: number
  bytes: number
}

function decodeBatch(
  data: Buffer,
  at: number,
  end: number,
  baseOffset: number,
  codecs: CompressionCodecs,
  sink: Sink,
): void {
  const attributes = data.readInt16BE(at + 21)
  const firstTimestamp = readInt64(data, at + 27)
  const appendTime = (attributes & LOG_APPEND_TIME) !== 0 ? readInt64(data, at + 35) : -1
  const count = data.readInt32BE(at + 57)
  const codec = codecOfBatch(attributes, codecs)
  const packed = data.subarray(at + BATCH_HEADER, end)
  const cursor = new RecordCursor(codec === undefined ? packed : codec.decompress(packed))
  for (let i = 0; i < count; i++) {
    const recordEnd = cursor.varint() + cursor.at
    cursor.at++
    const timestamp = firstTimestamp + cursor.varint()
    const offset = baseOffset + cursor.varint()
    if (offset < sink.position) {
      cursor.at = recordEnd
      continue
    }
    const key = cursor.bytes()
    const value = cursor.bytes()
    const headers = cursor.headers()
    sink.bytes +=
      (key === null ? 0 : key.length) +
      (value === null ? 0 : value.length) +
      (headers === NO_HEADERS ? 0 : sizeOf(headers))
    sink.records.push({ offset, timestamp: appendTime >= 0 ? appendTime : timestamp, key, value, headers })
    cursor.at = recordEnd
  }
}

class RecordCursor {
  readonly buffer: Buffer
  at = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  /** A zig-zag varint or varlong. */
  varint(): number {
    const { buffer } = this
    let byte = buffer[this.at++] ?? 0
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1)
    let value = byte & 0x7f
    let scale = 128
    do {
      byte = buffer[this.at++] ?? 0
      value += (byte & 0x7f) * scale
      scale *= 128
    } while (byte >= 0x80 && scale < 0x1_0000_0000_0000_00)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  bytes(): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    const start = this.at
    this.at += length
    return this.buffer.subarray(start, this.at)
  }

  headers(): RawHeaders {
    const count = this.varint()
    if (count <= 0) return NO_HEADERS
    const headers: [string, Buffer | null][] = []
    for (let i = 0; i < count; i++) {
      const name = this.bytes()
      headers.push([name === null ? '' : name.toString('utf8'), this.bytes()])
    }
    return headers
  }
}

/** A control batch holds one record, whose key is a version and the kind of marker. */
function isAbortMarker(data: Buffer, at: number): boolean {
  const cursor = new RecordCursor(data.subarray(at + BATCH_HEADER))
  cursor.varint()
  cursor.at++
  cursor.varint()
  cursor.varint()
  const key = cursor.bytes()
  return key !== null && key.length >= 4 && key.readInt16BE(2) === ABORT_MARKER
}

function sizeOf(headers: RawHeaders): number {
  let size = 0
  for (const [name, value] of headers) size += name.length + (value === null ? 0 : value.length)
  return size
}

import type { OutgoingRecord, RawHeaders } from '@millrace/core'
import type { BatchCompression } from '../compression/compression.ts'
import { ATTRIBUTES, BATCH_HEADER, TRANSACTIONAL } from './batch-header.ts'
import { crc32c } from './crc32c.ts'

/** The producer of a batch; all fields are -1 outside of transactions. */
export interface BatchProducer {
  readonly id: number
  readonly epoch: number
  readonly firstSequence: number
  readonly transactional: boolean
}

export const NO_PRODUCER: BatchProducer = { id: -1, epoch: -1, firstSequence: -1, transactional: false }

/**
 * Encodes records of one partition as one batch (message format 2). Sizes are computed first, so that the batch is
 * written once, in place.
 */
export function encodeRecordBatch(
  records: readonly OutgoingRecord[],
  producer: BatchProducer,
  compression: BatchCompression,
): Buffer {
  const firstTimestamp = records[0]?.timestamp ?? 0
  let maxTimestamp = firstTimestamp
  let size = BATCH_HEADER
  const bodies = new Array<number>(records.length)
  for (let i = 0; i < records.length; i++) {
    const record = records[i]
    if (record === undefined) continue
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp
    const body =
      1 +
      sizeOfVarint(record.timestamp - firstTimestamp) +
      sizeOfVarint(i) +
      sizeOfBytes(record.key) +
      sizeOfBytes(record.value) +
      sizeOfHeaders(record.headers)
    bodies[i] = body
    size += sizeOfVarint(body) + body
  }
  let batch = Buffer.allocUnsafe(size)
  let at = BATCH_HEADER
  for (let i = 0; i < records.length; i++) {
    const record = records[i]
    if (record === undefined) continue
    at = writeVarint(batch, at, bodies[i] ?? 0)
    batch[at++] = 0
    at = writeVarint(batch, at, record.timestamp - firstTimestamp)
    at = writeVarint(batch, at, i)
    at = writeBytes(batch, at, record.key)
    at = writeBytes(batch, at, record.value)
    at = writeHeaders(batch, at, record.headers)
  }
  if (compression.codec !== undefined) {
    const packed = compression.codec.compress(batch.subarray(BATCH_HEADER))
    const whole = Buffer.allocUnsafe(BATCH_HEADER + packed.length)
    whole.set(packed, BATCH_HEADER)
    batch = whole
  }
  writeHeader(batch, { records: records.length, firstTimestamp, maxTimestamp, producer, bits: compression.bits })
  return batch
}

/** The most bytes that a record takes in a batch; limits of requests are counted with it. */
export function recordSize(record: OutgoingRecord): number {
  let size = 21 + (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const [name, value] of record.headers) size += 10 + Buffer.byteLength(name) + (value?.length ?? 0)
  return size
}

interface HeaderFields {
  readonly records: number
  readonly firstTimestamp: number
  readonly maxTimestamp: number
  readonly producer: BatchProducer
  readonly bits: number
}

function writeHeader(batch: Buffer, header: HeaderFields): void {
  const { producer } = header
  batch.fill(0, 0, 8)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12)
  batch[16] = 2
  batch.writeInt16BE(header.bits | (producer.transactional ? TRANSACTIONAL : 0), ATTRIBUTES)
  batch.writeInt32BE(header.records - 1, 23)
  writeInt64(batch, 27, header.firstTimestamp)
  writeInt64(batch, 35, header.maxTimestamp)
  writeInt64(batch, 43, producer.id)
  batch.writeInt16BE(producer.epoch, 51)
  batch.writeInt32BE(producer.firstSequence, 53)
  batch.writeInt32BE(header.records, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES)), 17)
}

function writeInt64(buffer: Buffer, offset: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  buffer.writeInt32BE(high, offset)
  buffer.writeUInt32BE(value - high * 0x1_0000_0000, offset + 4)
}

function sizeOfBytes(bytes: Buffer | null): number {
  return bytes === null ? 1 : sizeOfVarint(bytes.length) + bytes.length
}

function writeBytes(buffer: Buffer, offset: number, bytes: Buffer | null): number {
  if (bytes === null) return writeVarint(buffer, offset, -1)
  const at = writeVarint(buffer, offset, bytes.length)
  buffer.set(bytes, at)
  return at + bytes.length
}

function sizeOfHeaders(headers: RawHeaders): number {
  let size = sizeOfVarint(headers.length)
  for (const [name, value] of headers) {
    const length = Buffer.byteLength(name)
    size += sizeOfVarint(length) + length + sizeOfBytes(value)
  }
  return size
}

function writeHeaders(buffer: Buffer, offset: number, headers: RawHeaders): number {
  let at = writeVarint(buffer, offset, headers.length)
  for (const [name, value] of headers) {
    at = writeVarint(buffer, at, Buffer.byteLength(name))
    at += buffer.write(name, at)
    at = writeBytes(buffer, at, value)
  }
  return at
}

/** Bytes that a number takes as a zig-zag varint (Kafka's `varint` and `varlong`; safe integers). */
export function sizeOfVarint(value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  let size = 1
  while (rest > 0x7f) {
    rest = Math.floor(rest / 128)
    size++
  }
  return size
}

/** Writes a zig-zag varint and returns the offset after it. */
export function writeVarint(buffer: Buffer, offset: number, value: number): number {
  let at = offset
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  while (rest > 0x7fff_ffff) {
    buffer[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}

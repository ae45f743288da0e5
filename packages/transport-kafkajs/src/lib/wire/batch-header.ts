import { MillraceError } from '@millrace/core'
import { crc32c } from './crc32c.ts'

/** The size of a batch's header. */
export const BATCH_HEADER = 61
const LENGTH_END = 12
const MAGIC = 16
const CHECKSUM = 17
/** Where the bytes covered by the checksum begin. */
export const ATTRIBUTES = 21
const LAST_OFFSET_DELTA = 23
const FIRST_TIMESTAMP = 27
const MAX_TIMESTAMP = 35
const PRODUCER_ID = 43
const COUNT = 57
const LOG_APPEND_TIME = 0x08
export const TRANSACTIONAL = 0x10
const CONTROL = 0x20

/** The latest possible date: beyond it `new Date(…)` is invalid. */
const LATEST_TIMESTAMP = 8.64e15

/** The header of a batch. */
export interface BatchHeader {
  /** Where it ends in the data. */
  readonly end: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly attributes: number
  readonly transactional: boolean
  readonly control: boolean
  readonly producerId: number
  readonly firstTimestamp: number
  /** The timestamp of all its records; `undefined` if each has its own. */
  readonly appendTime: number | undefined
  readonly records: number
}

/** A batch whose header cannot be trusted. */
export interface BadHeader {
  readonly error: MillraceError
  /** Where it ends in the data. */
  readonly end: number
  /** The last offset that it covers; `undefined` if unknown. */
  readonly lastOffset: number | undefined
}

/** Where the batch at `at` ends; beyond the data if it is truncated. */
export function batchEnd(data: Buffer, at: number): number {
  return data.length - at < BATCH_HEADER ? Infinity : at + LENGTH_END + data.readInt32BE(at + 8)
}

export interface HeaderChecks {
  /** Whether to verify the batch's checksum. */
  readonly verifyChecksums: boolean
  /** Where reading continues. */
  readonly position: number
}

/**
 * The checksum does not cover base offset, length and format: they are trusted as far as the surroundings of the batch
 * agree with them (decisions/107-batches-that-are-not-believed.md).
 */
export function readBatchHeader(data: Buffer, at: number, checks: HeaderChecks): BatchHeader | BadHeader {
  const end = batchEnd(data, at)
  if (end > data.length) return bad('BATCH_CORRUPT', 'The batch is cut off.', data.length)
  if (end - at < BATCH_HEADER)
    return bad('BATCH_CORRUPT', `The batch claims a length of ${end - at} bytes, less than its header.`, data.length)
  const magic = data.readInt8(at + MAGIC)
  const baseOffset = readLong(data, at)
  if (!Number.isSafeInteger(baseOffset))
    return bad(
      'OFFSET_UNSAFE',
      `A batch begins at offset ${data.readBigInt64BE(at)}, which is not a safe integer.`,
      end,
    )
  if (magic !== 2) {
    if (mismatchOf(data, at, end) === undefined)
      return bad(
        'BATCH_CORRUPT',
        `The format of a batch is damaged: it has ${magic}, and the checksum of format 2.`,
        end,
      )
    const why = `A batch has message format ${magic}; only 2 (Kafka 0.11 and later) can be read.`
    // The one offset is that of its only, or its last, message.
    return bad('DECODE_FAILED', why, end, magic === 0 || magic === 1 ? baseOffset : undefined)
  }
  const lastDelta = data.readInt32BE(at + LAST_OFFSET_DELTA)
  const records = data.readInt32BE(at + COUNT)
  const lastOffset = baseOffset + lastDelta
  const next = end + LENGTH_END <= data.length ? readLong(data, end) : undefined
  const mismatch = checks.verifyChecksums ? mismatchOf(data, at, end) : undefined
  if (mismatch !== undefined) {
    // The header itself may be damaged: its end is trusted if something else agrees with it.
    const agrees = next === lastOffset + 1 || (records === lastDelta + 1 && baseOffset <= checks.position)
    return bad('BATCH_CORRUPT', mismatch, end, lastDelta >= 0 && agrees ? lastOffset : undefined)
  }
  if (lastDelta < 0 || records < 0) {
    const why = `A batch claims ${records} records up to its offset ${lastDelta}.`
    return bad('DECODE_FAILED', why, end)
  }
  if (!Number.isSafeInteger(lastOffset + 1))
    return bad('OFFSET_UNSAFE', `A batch ends at offset ${lastOffset}, which is not a safe integer.`, end)
  if (next !== undefined && next <= lastOffset) {
    const why = `A batch of offsets ${baseOffset} to ${lastOffset} is followed by one that begins at ${next}.`
    return bad('BATCH_CORRUPT', why, end)
  }
  const attributes = data.readInt16BE(at + ATTRIBUTES)
  return {
    end,
    baseOffset,
    lastOffset,
    attributes,
    transactional: (attributes & TRANSACTIONAL) !== 0,
    control: (attributes & CONTROL) !== 0,
    producerId: readLong(data, at + PRODUCER_ID),
    firstTimestamp: readLong(data, at + FIRST_TIMESTAMP),
    appendTime: (attributes & LOG_APPEND_TIME) === 0 ? undefined : readLong(data, at + MAX_TIMESTAMP),
    records,
  }
}

function bad(
  code: 'BATCH_CORRUPT' | 'DECODE_FAILED' | 'OFFSET_UNSAFE',
  why: string,
  end: number,
  lastOffset?: number,
): BadHeader {
  return { error: new MillraceError(code, why), end, lastOffset }
}

/** How a batch differs from its checksum, as a sentence; `undefined` if it does not. */
function mismatchOf(data: Buffer, at: number, end: number): string | undefined {
  const stored = data.readUInt32BE(at + CHECKSUM)
  const computed = crc32c(data.subarray(at + ATTRIBUTES, end))
  if (stored === computed) return undefined
  return `The checksum of the batch is ${hex(stored)}, but that of its ${end - at} bytes is ${hex(computed)}.`
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0')
}

/** For values that any client may have written; inexact beyond the safe integers. */
function readLong(data: Buffer, at: number): number {
  return data.readInt32BE(at) * 0x1_0000_0000 + data.readUInt32BE(at + 4)
}

/** The nearest time that a `Date` can hold. */
export function clampTimestamp(timestamp: number): number {
  if (timestamp > LATEST_TIMESTAMP) return LATEST_TIMESTAMP
  return timestamp < -LATEST_TIMESTAMP ? -LATEST_TIMESTAMP : timestamp
}

import { isMillraceError, MillraceError, NO_HEADERS, type RawHeaders, type RawRecord, toError } from '@millrace/core'
import type { Isolation } from '@millrace/core/driver'
import { codecOfBatch, type CompressionCodec, type CompressionCodecs } from '../compression/compression.ts'
import { BATCH_HEADER, batchEnd, clampTimestamp, readBatchHeader, type BatchHeader } from './batch-header.ts'
import { FetchedRecord, malformed, RecordCursor } from './record-cursor.ts'

const ABORT_MARKER = 0
/** So much is unpacked on the event loop (a few milliseconds); what is larger elsewhere. */
const AT_ONCE_BYTES = 1 << 20
/** Unpacked records that are given at once. A batch comes whole whatever it unpacks to. */
const CHUNK_BYTES = 1 << 20
/** Of a record: its length, attributes, time, offset, key, value and number of headers. */
const LEAST_RECORD_BYTES = 7

/** A transaction that was aborted, as the broker lists it with each fetch. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface RecordSetOptions {
  /** Where reading continues; earlier records of the first batch are dropped. */
  readonly position: number
  readonly isolation: Isolation
  readonly aborted: readonly AbortedTransaction[]
  readonly codecs: CompressionCodecs
  readonly verifyChecksums: boolean
  /** Most bytes that one batch may unpack to. */
  readonly maxUnpackedBytes: number
}

/** Records as they came out of one batch or more. */
export interface DecodedRecords {
  readonly kind: 'records'
  readonly records: readonly RawRecord[]
  /** Behind the last whole batch, also when compaction or an abort left no record of it; the position when there is none. */
  readonly nextOffset: number
  /** Of keys, values and headers. */
  readonly bytes: number
  readonly clampedTimestamps: number
  /** As in `RecordBatch`. */
  readonly whole: boolean
}

/** A batch that cannot be read. */
export interface UnreadableBatch {
  readonly kind: 'unreadable'
  readonly error: MillraceError
  readonly firstOffset: number
  /** `undefined` when the end of the batch is unknown: then nothing behind it can be read either. */
  readonly nextOffset: number | undefined
  readonly data: Buffer
}

export type Decoded = DecodedRecords | UnreadableBatch

/**
 * The record batches of a fetched partition, decoded a stretch at a time and not before it is asked for: a fetch of a
 * few hundred kilobytes can unpack to a thousand times as much. The last batch may be cut off by the response's limit:
 * it is left for the next fetch. The first one always comes whole. Keys and values share memory with the data, or with
 * what it unpacked to.
 *
 * Under read-committed the broker sends aborted records too, with a list that tells them apart. The list comes
 * unsorted, and a transaction is over at its abort marker only: with transactions of several producers interleaved,
 * both matter.
 */
export class RecordSet {
  readonly #data: Buffer
  readonly #options: RecordSetOptions
  readonly #committedOnly: boolean
  readonly #aborted: readonly AbortedTransaction[]
  readonly #abortedProducers = new Set<number>()
  #begun = 0
  #at = 0
  #position: number

  constructor(data: Buffer, options: RecordSetOptions) {
    this.#data = data
    this.#options = options
    this.#committedOnly = options.isolation === 'read-committed'
    this.#aborted = this.#committedOnly ? [...options.aborted].sort((a, b) => a.firstOffset - b.firstOffset) : []
    this.#position = options.position
  }

  /** Nothing more can be read from it. A first batch that is cut off still gives an error. */
  get exhausted(): boolean {
    return this.#at >= this.#data.length || (this.#at > 0 && batchEnd(this.#data, this.#at) > this.#data.length)
  }

  /** The next stretch; a promise only where a large batch is unpacked, off the event loop. To be called one at a time. */
  next(): Decoded | Promise<Decoded> {
    const stretch = new DecodedStretch(this.#position)
    while (!this.exhausted && stretch.unpackedBytes < CHUNK_BYTES) {
      const at = this.#at
      const header = readBatchHeader(this.#data, at, this.#options.verifyChecksums)
      // What comes before a batch that cannot be read, or takes a while, is delivered first.
      const isFirst = this.#position === stretch.from
      if ('error' in header) {
        if (header.lastOffset === undefined || header.lastOffset >= this.#position) {
          if (!isFirst) break
          return this.#unreadable(header.error, at, header)
        }
      } else {
        // Compaction keeps the bounds of a batch that it takes records from, and takes empty ones away.
        if (header.baseOffset > this.#position || header.records <= header.lastOffset - header.baseOffset)
          stretch.whole = false
        try {
          if (this.#isWanted(header, at) && !this.#decode(header, at, stretch)) {
            if (!isFirst) break
            return this.#decodeAside(header, at, stretch)
          }
        } catch (error) {
          if (!isFirst) break
          return this.#unreadable(error, at, header)
        }
      }
      this.#pass(header)
    }
    return stretch.records(this.#position)
  }

  /** Whether it has records for the reader. Keeps account of transactions. */
  #isWanted({ lastOffset, producerId, transactional, control }: BatchHeader, at: number): boolean {
    for (
      let next = this.#aborted[this.#begun];
      next !== undefined && next.firstOffset <= lastOffset;
      next = this.#aborted[++this.#begun]
    )
      this.#abortedProducers.add(next.producerId)
    if (control) {
      if (this.#committedOnly && isAbortMarker(this.#data, at)) this.#abortedProducers.delete(producerId)
      return false
    }
    return lastOffset >= this.#position && !(transactional && this.#abortedProducers.has(producerId))
  }

  /** False when it is too much to be unpacked at once. */
  #decode(header: BatchHeader, at: number, stretch: DecodedStretch): boolean {
    const codec = codecOfBatch(header.attributes, this.#options.codecs)
    const packed = this.#data.subarray(at + BATCH_HEADER, header.end)
    if (codec === undefined || header.records === 0) {
      stretch.add(header, packed)
      return true
    }
    const limit = Math.min(AT_ONCE_BYTES, this.#options.maxUnpackedBytes)
    const unpacked = packed.length > limit ? undefined : codec.decompress(packed, limit)
    if (unpacked !== undefined) stretch.add(header, unpacked)
    return unpacked !== undefined
  }

  async #decodeAside(header: BatchHeader, at: number, stretch: DecodedStretch): Promise<Decoded> {
    const { codecs, maxUnpackedBytes } = this.#options
    try {
      const unpacked = await unpackAside(codecOfBatch(header.attributes, codecs), {
        packed: this.#data.subarray(at + BATCH_HEADER, header.end),
        maxBytes: maxUnpackedBytes,
      })
      stretch.add(header, unpacked)
    } catch (error) {
      return this.#unreadable(error, at, header)
    }
    this.#pass(header)
    return stretch.records(this.#position)
  }

  #pass({ end, lastOffset }: BatchEnd): void {
    if (lastOffset !== undefined && lastOffset >= this.#position) this.#position = lastOffset + 1
    this.#at = end
  }

  #unreadable(thrown: unknown, at: number, { end, lastOffset }: BatchEnd): UnreadableBatch {
    const firstOffset = this.#position
    const error = isMillraceError(thrown)
      ? thrown
      : new MillraceError('DECODE_FAILED', toError(thrown).message, { cause: thrown })
    const known = lastOffset !== undefined && Number.isSafeInteger(lastOffset + 1) && lastOffset >= firstOffset
    if (known) this.#pass({ end, lastOffset })
    else this.#at = this.#data.length
    const data = this.#data.subarray(at, end)
    return { kind: 'unreadable', error, firstOffset, nextOffset: known ? lastOffset + 1 : undefined, data }
  }
}

/** In the data, and in the partition. */
interface BatchEnd {
  readonly end: number
  readonly lastOffset: number | undefined
}

async function unpackAside(
  codec: CompressionCodec | undefined,
  { packed, maxBytes }: { readonly packed: Buffer; readonly maxBytes: number },
): Promise<Buffer> {
  const unpacked = await codec?.decompressAside(packed, maxBytes)
  if (unpacked !== undefined) return unpacked
  throw new MillraceError(
    'BATCH_TOO_LARGE',
    `A batch of ${packed.length} compressed bytes unpacks to more than the ${maxBytes} of maxBatchBytes.`,
  )
}

/** What has been decoded of a stretch. */
class DecodedStretch {
  /** Earlier records are dropped. */
  readonly from: number
  unpackedBytes = 0
  /** Nothing of it has been compacted away. */
  whole = true
  readonly #records: RawRecord[] = []
  #bytes = 0
  #clamped = 0

  constructor(from: number) {
    this.from = from
  }

  records(nextOffset: number): DecodedRecords {
    return {
      kind: 'records',
      records: this.#records,
      nextOffset,
      bytes: this.#bytes,
      clampedTimestamps: this.#clamped,
      whole: this.whole,
    }
  }

  /** All records of a batch, or none when one of them is not as it should be. */
  add(header: BatchHeader, unpacked: Buffer): void {
    const before = this.#records.length
    try {
      this.#decode(header, unpacked)
    } catch (error) {
      this.#records.length = before
      throw error
    }
    this.unpackedBytes += unpacked.length
  }

  #decode({ baseOffset, lastOffset, firstTimestamp, appendTime, records }: BatchHeader, unpacked: Buffer): void {
    const { from } = this
    const into = this.#records
    const cursor = new RecordCursor(unpacked)
    let bytes = 0
    let clamped = 0
    for (let i = 0; i < records; i++) {
      const start = cursor.at
      const end = cursor.varint() + cursor.at
      if (end > unpacked.length || end < start + LEAST_RECORD_BYTES)
        throw malformed(`Record ${i + 1} of a batch of ${records} does not fit in its ${unpacked.length} bytes.`)
      cursor.at++
      const created = firstTimestamp + cursor.varint()
      const offset = baseOffset + cursor.varint()
      if (offset < baseOffset || offset > lastOffset)
        throw malformed(`A record has offset ${offset}; its batch has ${baseOffset} to ${lastOffset}.`)
      if (offset < from) {
        cursor.at = end
        continue
      }
      const { at } = cursor
      bytes += Math.max(cursor.pass(end), 0) + Math.max(cursor.pass(end), 0)
      const headers = cursor.headers(end)
      if (headers !== NO_HEADERS) bytes += sizeOf(headers)
      const stated = appendTime ?? created
      const timestamp = clampTimestamp(stated)
      if (timestamp !== stated) clamped++
      into.push(new FetchedRecord(unpacked, at, { offset, timestamp, headers }))
      cursor.at = end
    }
    this.#bytes += bytes
    this.#clamped += clamped
  }
}

/** A control batch holds one record, whose key is a version and the kind of marker. */
function isAbortMarker(data: Buffer, at: number): boolean {
  const cursor = new RecordCursor(data.subarray(at + BATCH_HEADER))
  cursor.varint()
  cursor.at++
  cursor.varint()
  cursor.varint()
  const key = cursor.bytes(cursor.buffer.length)
  return key !== null && key.length >= 4 && key.readInt16BE(2) === ABORT_MARKER
}

function sizeOf(headers: RawHeaders): number {
  let size = 0
  for (const [name, value] of headers) size += name.length + (value === null ? 0 : value.length)
  return size
}

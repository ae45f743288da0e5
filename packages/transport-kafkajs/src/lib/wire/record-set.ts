import { isMillraceError, MillraceError, toError } from '@millrace/core'
import type { Isolation } from '@millrace/core/driver'
import { codecOfBatch, type CompressionCodec, type CompressionCodecs } from '../compression/compression.ts'
import { type BadHeader, BATCH_HEADER, batchEnd, readBatchHeader, type BatchHeader } from './batch-header.ts'
import { type DecodedRecords, DecodedStretch } from './decoded-stretch.ts'
import { malformed } from './record-cursor.ts'

const ABORT_MARKER = 0
const MARKER_BYTES = 4
/** The largest batch that is unpacked on the event loop (a few milliseconds); larger ones are unpacked off it. */
const AT_ONCE_BYTES = 1 << 20
/** How much unpacked data is returned at once. A batch is returned whole whatever its size. */
const CHUNK_BYTES = 1 << 20

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
  /** The most bytes to which one batch may unpack. */
  readonly maxUnpackedBytes: number
}

/** A batch that cannot be read. */
export interface UnreadableBatch {
  readonly kind: 'unreadable'
  readonly error: MillraceError
  readonly firstOffset: number
  /** `undefined` if the end of the batch is unknown: then nothing behind it can be read either. */
  readonly nextOffset: number | undefined
  readonly data: Buffer
}

export type Decoded = DecodedRecords | UnreadableBatch

/**
 * The record batches of a fetched partition, decoded a part at a time and only on demand, because a fetch of a few
 * hundred kilobytes can unpack to a thousand times as much. The response's limit may truncate the last batch, which is
 * then left for the next fetch. The first batch always comes whole. Keys and values share memory with the data, or with
 * its unpacked form.
 *
 * Under read-committed the broker sends aborted records too, with a list that identifies them. The list is unsorted,
 * and a transaction ends only at its abort marker; both matter if transactions of several producers are interleaved.
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
  /**
   * A batch that ends before the position was skipped. Brokers do not send such batches, but it is no error if they do.
   */
  #isStale = false

  constructor(data: Buffer, options: RecordSetOptions) {
    this.#data = data
    this.#options = options
    this.#committedOnly = options.isolation === 'read-committed'
    this.#aborted = this.#committedOnly ? [...options.aborted].sort((a, b) => a.firstOffset - b.firstOffset) : []
    this.#position = options.position
  }

  /** Nothing more can be read from it. A truncated first batch still gives an error. */
  get exhausted(): boolean {
    return this.#at >= this.#data.length || (this.#at > 0 && batchEnd(this.#data, this.#at) > this.#data.length)
  }

  /**
   * The next part; a promise only if a large batch is unpacked, off the event loop. Must not be called again before
   * that.
   */
  next(): Decoded | Promise<Decoded> {
    const stretch = new DecodedStretch(this.#position)
    while (!this.exhausted && stretch.unpackedBytes < CHUNK_BYTES) {
      const at = this.#at
      const header = this.#headerAt(at)
      // Records before a batch that is unreadable, or slow to unpack, are delivered first.
      const isFirst = this.#position === stretch.from
      if ('error' in header) {
        if (header.lastOffset === undefined || header.lastOffset >= this.#position) {
          if (!isFirst) break
          return this.#unreadable(header.error, at, header)
        }
      } else {
        // Compaction keeps the bounds of a batch from which it removes records, and removes empty batches.
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
    if (this.exhausted && !this.#hasMoved) return this.#unreadable(this.#nothingNew(), 0, NOWHERE)
    return stretch.records(this.#position)
  }

  get #hasMoved(): boolean {
    return this.#position !== this.#options.position
  }

  #headerAt(at: number): BatchHeader | BadHeader {
    const { verifyChecksums, position } = this.#options
    const header = readBatchHeader(this.#data, at, { verifyChecksums, position: this.#position })
    if (this.#hasMoved || header.lastOffset === undefined) return header
    if (header.lastOffset < position) this.#isStale = true
    else if (this.#isStale && !('error' in header) && header.baseOffset > position)
      return { error: this.#nothingNew(), end: header.end, lastOffset: undefined }
    return header
  }

  #nothingNew(): MillraceError {
    const { position } = this.#options
    return new MillraceError(
      'BATCH_CORRUPT',
      `The broker was asked for offset ${position}, but sent records before it.`,
    )
  }

  /** Whether the batch has records for the reader. Tracks transactions. */
  #isWanted(header: BatchHeader, at: number): boolean {
    const { lastOffset, producerId, transactional, control } = header
    for (
      let next = this.#aborted[this.#begun];
      next !== undefined && next.firstOffset <= lastOffset;
      next = this.#aborted[++this.#begun]
    )
      this.#abortedProducers.add(next.producerId)
    if (control) {
      if (this.#committedOnly && this.#isAbortMarker(header, at)) this.#abortedProducers.delete(producerId)
      return false
    }
    return lastOffset >= this.#position && !(transactional && this.#abortedProducers.has(producerId))
  }

  /**
   * A control batch holds one record, whose key is a version and the kind of marker; or none if compaction has removed
   * it.
   */
  #isAbortMarker(header: BatchHeader, at: number): boolean {
    if (header.records > 1 || codecOfBatch(header.attributes, this.#options.codecs) !== undefined)
      throw malformed('A control batch has more than the mark of one transaction.')
    const stretch = new DecodedStretch(header.baseOffset)
    stretch.add(header, this.#data.subarray(at + BATCH_HEADER, header.end))
    const [marker] = stretch.records(header.baseOffset).records
    if (marker === undefined) return false
    const { key } = marker
    if (key === null || key.length < MARKER_BYTES) throw malformed('A control batch does not say of which kind it is.')
    return key.readInt16BE(2) === ABORT_MARKER
  }

  /** Returns false if the batch is too large to be unpacked at once. */
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
    // The unreadable batch may have been the end of an aborted transaction: then reading continues with a new fetch
    // behind it.
    if (!known || this.#abortedProducers.size > 0) this.#at = this.#data.length
    const data = this.#data.subarray(at, end)
    return { kind: 'unreadable', error, firstOffset, nextOffset: known ? lastOffset + 1 : undefined, data }
  }
}

/** Where a batch ends in the data, and in the partition. */
interface BatchEnd {
  readonly end: number
  readonly lastOffset: number | undefined
}

const NOWHERE: BatchEnd = { end: Infinity, lastOffset: undefined }

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

import { isMillraceError, MillraceError, toError } from '@millrace/core'
import type { Isolation } from '@millrace/core/driver'
import { codecOfBatch, type CompressionCodec, type CompressionCodecs } from '../compression/compression.ts'
import { type BadHeader, BATCH_HEADER, batchEnd, readBatchHeader, type BatchHeader } from './batch-header.ts'
import { type DecodedRecords, DecodedStretch } from './decoded-stretch.ts'
import { malformed } from './record-cursor.ts'

const ABORT_MARKER = 0
const MARKER_BYTES = 4
/** So much is unpacked on the event loop (a few milliseconds); what is larger elsewhere. */
const AT_ONCE_BYTES = 1 << 20
/** Unpacked records that are given at once. A batch comes whole whatever it unpacks to. */
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
  /** Most bytes that one batch may unpack to. */
  readonly maxUnpackedBytes: number
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
  /** A batch was passed over that ends before the position. Brokers do not send such, and need not to be wrong if they do. */
  #isStale = false

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
      const header = this.#headerAt(at)
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
    return new MillraceError('BATCH_CORRUPT', `The broker was asked for offset ${position} and sent what is before it.`)
  }

  /** Whether it has records for the reader. Keeps account of transactions. */
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

  /** A control batch holds one record, whose key is a version and the kind of marker; none when compaction has taken it. */
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
    // What could not be read may have been the end of an aborted transaction: then it is fetched again from behind it.
    if (!known || this.#abortedProducers.size > 0) this.#at = this.#data.length
    const data = this.#data.subarray(at, end)
    return { kind: 'unreadable', error, firstOffset, nextOffset: known ? lastOffset + 1 : undefined, data }
  }
}

/** In the data, and in the partition. */
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

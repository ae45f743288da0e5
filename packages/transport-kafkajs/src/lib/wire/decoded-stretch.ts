import { NO_HEADERS, type RawHeaders, type RawRecord } from '@millrace/core'
import { clampTimestamp, type BatchHeader } from './batch-header.ts'
import { FetchedRecord, malformed, RecordCursor } from './record-cursor.ts'

/** The fields of the smallest record: length, attributes, time, offset, key, value and number of headers. */
const LEAST_RECORD_BYTES = 7

/** Records decoded from one or more batches. */
export interface DecodedRecords {
  readonly kind: 'records'
  readonly records: readonly RawRecord[]
  /**
   * The offset after the last complete batch, even if compaction or an abort left no record of it; the position if
   * there is none.
   */
  readonly nextOffset: number
  /** The bytes of keys, values and headers. */
  readonly bytes: number
  readonly clampedTimestamps: number
  /** As in `RecordBatch`. */
  readonly whole: boolean
}

/** The decoded part of a record set. */
export class DecodedStretch {
  /** Earlier records are dropped. */
  readonly from: number
  unpackedBytes = 0
  /** True if nothing of it has been compacted away. */
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

  /** Adds all records of a batch, or none if one of them is invalid. */
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
    let least = baseOffset
    for (let i = 0; i < records; i++) {
      const start = cursor.at
      const end = cursor.varint() + cursor.at
      if (end > unpacked.length || end < start + LEAST_RECORD_BYTES)
        throw malformed(`Record ${i + 1} of a batch of ${records} does not fit in its ${unpacked.length} bytes.`)
      cursor.at++
      const created = firstTimestamp + cursor.varint()
      const offset = baseOffset + cursor.varint()
      if (offset < least || offset > lastOffset)
        throw malformed(`A record has offset ${offset}; ${least} to ${lastOffset} are left in its batch.`)
      least = offset + 1
      const { at } = cursor
      const size = Math.max(cursor.pass(end), 0) + Math.max(cursor.pass(end), 0)
      const headers = cursor.headers(end)
      if (cursor.at !== end)
        throw malformed(`Record ${i + 1} of a batch claims ${end - start} bytes, but has ${cursor.at - start}.`)
      if (offset < from) continue
      bytes += size
      if (headers !== NO_HEADERS) bytes += sizeOf(headers)
      const stated = appendTime ?? created
      const timestamp = clampTimestamp(stated)
      if (timestamp !== stated) clamped++
      into.push(new FetchedRecord(unpacked, at, { offset, timestamp, headers }))
    }
    if (cursor.at !== unpacked.length)
      throw malformed(`A batch has ${unpacked.length - cursor.at} extra bytes behind its ${records} records.`)
    this.#bytes += bytes
    this.#clamped += clamped
  }
}

function sizeOf(headers: RawHeaders): number {
  let size = 0
  for (const [name, value] of headers) size += name.length + (value === null ? 0 : value.length)
  return size
}

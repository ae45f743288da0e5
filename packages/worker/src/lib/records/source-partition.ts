import { MillraceError, partitionKey, type RecordBatch, type TopicPartition } from '@millrace/core'
import type { CommittedSends } from './commit-metadata.ts'

/**
 * What a record costs in memory beside its bytes, when the driver makes its objects at once: the record and two buffers
 * that point into the fetch (measured: 314).
 */
const OBJECT_BYTES = 320

/** Reads a source partition, at its own pace. */
export interface SourceReader {
  /** Absolute index of the batch it stands in. */
  readonly batchIndex: number
  /** Reasons of `NOT_NOW` for which it takes no record. */
  readonly blocked: number
  /** A batch has come. */
  arrived(): void
}

export interface SourceFlow {
  /** The number of bytes that a partition buffers has changed. */
  bufferChanged(source: SourcePartition, bytes: number): void
}

/**
 * Raw batches of one source partition, fetched and not yet walked over by everybody who reads it. Nothing is decoded here:
 * a batch is held as it came and let go when the slowest reader has passed it.
 */
export class SourcePartition implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly #flow: SourceFlow
  readonly #readers: SourceReader[] = []
  #batches: RecordBatch[] = []
  #first = 0
  #bytes = 0
  #position: number
  #endOffset: number | undefined
  /** Committed offset, once there is one. */
  committed: number | undefined = undefined
  /** The metadata that this worker has committed with it. */
  committedMetadata: string | undefined = undefined
  /** Where events of it were seen to send, in this run and before. */
  sends: CommittedSends = new Set()
  /** Monotonic time of the last commit that moved it, or of the first record after it had been at the end. */
  movedAtMs: number = -Infinity
  /** Average size of a record in bytes, smoothed. */
  averageBytes = 0

  constructor({ topic, partition }: TopicPartition, position: number, flow: SourceFlow) {
    this.topic = topic
    this.partition = partition
    this.#position = position
    this.#flow = flow
  }

  /** Bytes in memory; small records consist mostly of their objects. */
  get bytes(): number {
    return this.#bytes
  }

  /** Next offset to be fetched. */
  get position(): number {
    return this.#position
  }

  get endOffset(): number | undefined {
    return this.#endOffset
  }

  /** The reasons of all its readers together. */
  get readersBlocked(): number {
    let blocked = 0
    for (const reader of this.#readers) blocked |= reader.blocked
    return blocked
  }

  /** A reader begins at the first batch that is held. */
  attach(reader: SourceReader): void {
    this.#readers.push(reader)
  }

  /**
   * Throws `POSITION_MISMATCH` when it does not begin where the one before it ended: records would be passed over and
   * committed past, or walked twice. Offsets without a record are within batches, as the driver has found them.
   */
  push(batch: RecordBatch): void {
    if (batch.position !== this.#position)
      throw new MillraceError(
        'POSITION_MISMATCH',
        `A batch of ${partitionKey(this)} holds offsets ${batch.position} to ${batch.nextOffset - 1}, and reading stands at ${this.#position}.`,
      )
    this.#batches.push(batch)
    this.#position = batch.nextOffset
    this.#endOffset = batch.endOffset
    const kept = keptBytes(batch)
    this.#bytes += kept
    if (batch.records.length > 0) {
      const average = batch.bytes / batch.records.length
      this.averageBytes = this.averageBytes === 0 ? average : this.averageBytes * 0.8 + average * 0.2
    }
    for (const reader of this.#readers) reader.arrived()
    this.#flow.bufferChanged(this, kept)
  }

  /** The end of the log, as the broker has said while nothing was fetched. */
  endSeen(endOffset: number): void {
    if (endOffset > (this.#endOffset ?? -1)) this.#endOffset = endOffset
  }

  batch(index: number): RecordBatch | undefined {
    return this.#batches[index - this.#first]
  }

  /** A reader has passed a batch. */
  release(): void {
    let slowest = Infinity
    for (const reader of this.#readers) if (reader.batchIndex < slowest) slowest = reader.batchIndex
    let bytes = 0
    let count = 0
    for (; this.#first + count < slowest && count < this.#batches.length; count++) {
      const batch = this.#batches[count]
      if (batch !== undefined) bytes += keptBytes(batch)
    }
    if (count === 0) return
    if (count === this.#batches.length) this.#batches = []
    else this.#batches.splice(0, count)
    this.#first += count
    this.#bytes -= bytes
    this.#flow.bufferChanged(this, -bytes)
  }

  /** The partition is lost. */
  clear(): void {
    this.#first += this.#batches.length
    this.#batches = []
    const bytes = this.#bytes
    this.#bytes = 0
    this.#flow.bufferChanged(this, -bytes)
  }
}

function keptBytes({ bytes, records }: RecordBatch): number {
  return bytes + records.length * OBJECT_BYTES
}

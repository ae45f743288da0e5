import { MillraceError, partitionKey, type RecordBatch, type TopicPartition } from '@millrace/core'
import type { CommittedSends } from './commit-metadata.ts'

/**
 * The memory that a record costs beside its bytes if the driver makes its objects at once: the record and two buffers
 * that point into the fetch (measured: 314).
 */
const OBJECT_BYTES = 320

/** A reader of a source partition, at its own pace. */
export interface SourceReader {
  /** Absolute index of the batch at which it stands. */
  readonly batchIndex: number
  /** Reasons of `NOT_NOW` why it takes no record. */
  readonly blocked: number
  /** It has let go of the records here while its agent is held back, and stands nowhere. */
  readonly isDetached: boolean
  /** The records that it was reading are dropped, and are read again. */
  restarted(): void
  /** Called when a batch has arrived. */
  arrived(): void
}

export interface SourceFlow {
  /** Called when the number of bytes that a partition buffers has changed. */
  bufferChanged(source: SourcePartition, bytes: number): void
}

/**
 * Raw batches of one source partition that were fetched and that some reader has not passed. Nothing is decoded here: a
 * batch stays as it was fetched, and is released when the slowest reader has passed it.
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
  /** The committed offset, if there is one. */
  committed: number | undefined = undefined
  /** The metadata that this worker has committed with it. */
  committedMetadata: string | undefined = undefined
  /** To which topics its events were seen to send, in this run and before. */
  sends: CommittedSends = new Set()
  /** When the last commit moved it, or when the first record arrived after it had been at its end; monotonic time. */
  movedAtMs: number = -Infinity
  /** Average size of a record in bytes, smoothed. */
  averageBytes = 0

  constructor({ topic, partition }: TopicPartition, position: number, flow: SourceFlow) {
    this.topic = topic
    this.partition = partition
    this.#position = position
    this.#flow = flow
  }

  /** Bytes in memory; those of small records are mostly their objects. */
  get bytes(): number {
    return this.#bytes
  }

  /** The next offset to fetch. */
  get position(): number {
    return this.#position
  }

  get endOffset(): number | undefined {
    return this.#endOffset
  }

  /** The reasons together of all readers that stand here. */
  get readersBlocked(): number {
    let blocked = 0
    for (const reader of this.#readers) if (!reader.isDetached) blocked |= reader.blocked
    return blocked
  }

  /** The first offset that can be read here without fetching it again. */
  get heldFrom(): number {
    return this.#batches[0]?.position ?? this.#position
  }

  /** Adds a reader, which begins at the first batch that is held. */
  attach(reader: SourceReader): void {
    this.#readers.push(reader)
  }

  /**
   * Throws `POSITION_MISMATCH` if the batch does not begin at the end of the one before it. Otherwise records would be
   * skipped and committed past, or read twice. Offsets without a record lie within batches, as the driver found them.
   */
  push(batch: RecordBatch): void {
    if (batch.position !== this.#position)
      throw new MillraceError(
        'POSITION_MISMATCH',
        `A batch of ${partitionKey(this)} holds offsets ${batch.position} to ${batch.nextOffset - 1}, but the next offset to read is ${this.#position}.`,
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

  /** Called when the broker has reported the end of the log while nothing was fetched. */
  endSeen(endOffset: number): void {
    if (endOffset > (this.#endOffset ?? -1)) this.#endOffset = endOffset
  }

  batch(index: number): RecordBatch | undefined {
    return this.#batches[index - this.#first]
  }

  /** Absolute index of the batch with this offset, or of the next one. */
  indexAt(offset: number): number {
    const at = this.#batches.findIndex(({ nextOffset }) => nextOffset > offset)
    return this.#first + (at < 0 ? this.#batches.length : at)
  }

  /** Reading goes on at this offset, which the caller has the driver fetch next: what is held is dropped. */
  restart(offset: number): void {
    this.#position = offset
    this.clear()
    for (const reader of this.#readers) if (!reader.isDetached) reader.restarted()
  }

  /** Called when a reader has passed a batch. */
  release(): void {
    let slowest = Infinity
    for (const reader of this.#readers)
      if (!reader.isDetached && reader.batchIndex < slowest) slowest = reader.batchIndex
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

  /** Drops what is held, for example because the partition is lost. */
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

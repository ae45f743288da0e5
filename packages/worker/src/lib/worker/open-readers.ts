import type { RecordBatch, TopicPartition } from '@millrace/core'
import type { Isolation, PartitionOffsets, Reader, Transport } from '@millrace/core/driver'

/** The readers of the parts of a worker or client. Those that are still open are closed with it. */
export class OpenReaders {
  readonly #transport: Pick<Transport, 'reader'>
  readonly #open = new Set<Reader>()

  constructor(transport: Pick<Transport, 'reader'>) {
    this.#transport = transport
  }

  /** How many readers are not closed. */
  get size(): number {
    return this.#open.size
  }

  open(isolation: Isolation): Reader {
    const reader = this.#transport.reader({ isolation })
    this.#open.add(reader)
    return new ListedReader(reader, () => void this.#open.delete(reader))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((reader) => reader.close()))
    this.#open.clear()
  }
}

/** A reader that takes itself off the list when it is closed. */
class ListedReader implements Reader {
  readonly #reader: Reader
  readonly #closed: () => void

  constructor(reader: Reader, closed: () => void) {
    this.#reader = reader
    this.#closed = closed
  }

  assign(partition: TopicPartition, offset: number): void {
    this.#reader.assign(partition, offset)
  }

  unassign(partition: TopicPartition): void {
    this.#reader.unassign(partition)
  }

  batches(): AsyncIterable<RecordBatch> {
    return this.#reader.batches()
  }

  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return this.#reader.offsets(partitions)
  }

  close(): Promise<void> {
    this.#closed()
    return this.#reader.close()
  }
}

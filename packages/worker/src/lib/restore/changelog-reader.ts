import {
  type Logger,
  MillraceError,
  type PartitionOffsets,
  type Reader,
  type RecordBatch,
  toError,
  type TopicPartition,
} from '@millrace/core'

export interface ChangelogReaderDeps {
  /** Makes a reader, when there is something to read. */
  readonly reader: () => Reader
  readonly log: Logger
  /** The next batch comes when it is done. */
  readonly take: (batch: RecordBatch) => Promise<void>
  /** Nothing more comes of what was assigned; what is assigned from now on is read by another reader. */
  readonly onBroken: (error: Error) => void
}

/** Changelog partitions on their way into stores, through one reader that is made when the first is asked for. */
export class ChangelogReader {
  readonly #deps: ChangelogReaderDeps
  #reader: Reader | undefined
  #closed = false

  constructor(deps: ChangelogReaderDeps) {
    this.#deps = deps
  }

  /** Beginnings and ends as they are now. */
  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return this.#open().offsets(partitions)
  }

  assign(partition: TopicPartition, from: number): void {
    this.#open().assign(partition, from)
  }

  unassign(partition: TopicPartition): void {
    this.#reader?.unassign(partition)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#reader?.close()
  }

  #open(): Reader {
    if (this.#closed) throw new MillraceError('CLOSED', 'The worker has stopped.')
    if (this.#reader === undefined) {
      this.#reader = this.#deps.reader()
      void this.#read(this.#reader)
    }
    return this.#reader
  }

  async #read(reader: Reader): Promise<void> {
    const { take, onBroken, log } = this.#deps
    try {
      for await (const batch of reader.batches()) await take(batch)
    } catch (thrown) {
      if (this.#closed) return
      this.#reader = undefined
      onBroken(toError(thrown))
      await reader.close().catch((error: unknown) => {
        log.debug({ error: toError(error).message }, 'A reader of changelogs that had failed was not closed cleanly.')
      })
    }
  }
}

import type { PartitionOffsets, Reader, RecordBatch, TopicPartition } from '@millrace/core'
import { BatchFeed, throwOutOfRange } from './batch-feed.ts'
import { checkOffset } from './check-offset.ts'
import { Lifespan } from './lifespan.ts'
import { partitionOffsets } from './partition-offsets.ts'
import type { OpenStateOptions } from './part-context.ts'

/** Recovery wants large batches. */
const READ_LIMIT = { maxBytes: 1024 * 1024, maxRecords: 20_000 }

/** Reads given partitions of a local log. Nothing uncommitted is ever in it, so both isolations see the same. */
export class LogReader implements Reader {
  readonly #context: OpenStateOptions
  readonly #lifespan: Lifespan
  readonly #feed: BatchFeed

  constructor(context: OpenStateOptions) {
    this.#context = context
    this.#lifespan = new Lifespan('reader', context.lifespan)
    this.#feed = new BatchFeed({
      backend: context.backend,
      lifespan: this.#lifespan,
      limit: READ_LIMIT,
      onOutOfRange: throwOutOfRange,
    })
  }

  assign(partition: TopicPartition, offset: number): void {
    checkOffset(partition, offset)
    this.#feed.add(partition, offset)
  }

  unassign(partition: TopicPartition): void {
    this.#feed.remove(partition)
  }

  batches(): AsyncIterable<RecordBatch> {
    return this.#feed
  }

  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return this.#lifespan.run(async () => partitionOffsets(this.#context.backend, partitions))
  }

  async close(): Promise<void> {
    this.#lifespan.close()
    this.#context.ended(this)
    this.#feed.end()
  }

  kill(): void {
    this.#lifespan.kill()
    this.#feed.clear()
  }
}

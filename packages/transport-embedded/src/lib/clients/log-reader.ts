import type { RecordBatch, TopicPartition } from '@millrace/core'
import { checkOffset, type PartitionOffsets, type Reader } from '@millrace/core/driver'
import { PartitionBatches, throwOutOfRange } from '../log/partition-batches.ts'
import { partitionOffsets } from './offsets.ts'
import { Lifespan } from '../log/lifespan.ts'
import type { LogClientContext } from '../log/client-context.ts'

/** Recovery wants large batches. */
const READ_LIMIT = { maxBytes: 1024 * 1024, maxRecords: 20_000 }

/**
 * Reads given partitions of a local log. The log never holds anything uncommitted, so both isolation levels are the
 * same.
 */
export class LogReader implements Reader {
  readonly #context: LogClientContext
  readonly #lifespan: Lifespan
  readonly #batches: PartitionBatches

  constructor(context: LogClientContext) {
    this.#context = context
    this.#lifespan = new Lifespan('reader', context.lifespan)
    this.#batches = new PartitionBatches(context.backend, this.#lifespan, {
      limit: READ_LIMIT,
      onOutOfRange: throwOutOfRange,
    })
  }

  assign(partition: TopicPartition, offset: number): void {
    checkOffset(partition, offset)
    this.#batches.add(partition, offset)
  }

  unassign(partition: TopicPartition): void {
    this.#batches.remove(partition)
  }

  batches(): AsyncIterable<RecordBatch> {
    return this.#batches
  }

  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return this.#lifespan.run(async () => partitionOffsets(this.#context.backend, partitions))
  }

  async close(): Promise<void> {
    this.#lifespan.close()
    this.#context.ended(this)
    this.#batches.end()
  }

  kill(): void {
    this.#lifespan.kill()
    this.#batches.clear()
  }
}

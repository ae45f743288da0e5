import { MillraceError, type RecordBatch, type TopicPartition } from '@millrace/core'
import {
  checkOffset,
  type Isolation,
  type PartitionOffsets,
  type Reader,
  type ReaderOptions,
} from '@millrace/core/driver'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { partitionOffsets } from '../cluster/offsets.ts'
import { throwOutOfRange } from './lost-position.ts'
import { PartitionFetcher } from './partition-fetcher.ts'

/** Most bytes of one fetch per partition: readers restore large logs, so more than a consumer's. */
const MAX_PARTITION_BYTES = 1 << 20

/** Reads partitions outside any group. */
export class KafkaReader implements Reader {
  readonly #context: KafkaClientContext
  readonly #isolation: Isolation
  readonly #closing = new AbortController()
  readonly #fetcher: PartitionFetcher

  constructor({ isolation, brokenBatches = 'throw' }: ReaderOptions, context: KafkaClientContext) {
    this.#context = context
    this.#isolation = isolation
    this.#fetcher = new PartitionFetcher(
      { isolation, maxPartitionBytes: MAX_PARTITION_BYTES, brokenBatches, onOutOfRange: throwOutOfRange },
      context,
      this.#closing.signal,
    )
  }

  assign(partition: TopicPartition, offset: number): void {
    this.#closing.signal.throwIfAborted()
    checkOffset(partition, offset)
    if (!this.#fetcher.has(partition)) this.#fetcher.add(partition)
    this.#fetcher.seek(partition, offset)
  }

  unassign(partition: TopicPartition): void {
    this.#fetcher.remove(partition)
  }

  batches(): AsyncIterable<RecordBatch> {
    return this.#fetcher.batches()
  }

  async offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return partitionOffsets(this.#context, partitions, this.#isolation, this.#closing.signal)
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new MillraceError('CLOSED', 'The reader is closed.'))
    this.#fetcher.close()
    this.#context.onClosed(this)
  }
}

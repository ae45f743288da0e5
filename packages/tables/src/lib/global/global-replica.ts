import type { RecordBatch, Row, StoreDriver, StorePartition } from '@millrace/core'
import type { RowShape } from '../keyed/row-shape.ts'
import { GlobalPartition } from './global-partition.ts'
import type { Replica, ReplicaContext } from './replicated-table.ts'

export interface GlobalReplicaOptions<V> {
  readonly name: string
  readonly shape: RowShape<V>
  readonly context: ReplicaContext
  readonly onAnnounce: (replica: GlobalReplica<V>) => void
  readonly onClose: () => void
}

interface Slice<V> {
  readonly stored: StorePartition
  readonly rows: GlobalPartition<V>
}

/** One worker's copy of a global table. */
export class GlobalReplica<V> implements Replica {
  readonly #slices: readonly Slice<V>[]
  readonly #store: StoreDriver
  readonly #where: string
  readonly #context: ReplicaContext
  readonly #onAnnounce: (replica: GlobalReplica<V>) => void
  readonly #onClose: () => void

  static async open<V>(options: GlobalReplicaOptions<V>): Promise<GlobalReplica<V>> {
    const { name, shape, context } = options
    const { store, beginnings, cacheBytes, freeze } = context
    const partitions = beginnings.length
    const slices = await Promise.all(
      beginnings.map(async (beginning, partition) => {
        const stored = await store.open(name, partition)
        // What an earlier run has left is of no use: nothing says that the topic is still the same one.
        await stored.clear()
        const share = Math.floor(cacheBytes / partitions)
        return {
          stored,
          rows: new GlobalPartition({
            shape,
            store: stored,
            partition,
            partitions,
            beginning,
            cacheBytes: share,
            freeze,
          }),
        }
      }),
    )
    return new GlobalReplica(options, slices)
  }

  private constructor({ shape, context, onAnnounce, onClose }: GlobalReplicaOptions<V>, slices: readonly Slice<V>[]) {
    this.#slices = slices
    this.#store = context.store
    this.#where = shape.where
    this.#context = context
    this.#onAnnounce = onAnnounce
    this.#onClose = onClose
  }

  get partitions(): readonly GlobalPartition<V>[] {
    return this.#slices.map(({ rows }) => rows)
  }

  get partitionCount(): number {
    return this.#slices.length
  }

  partition(index: number): GlobalPartition<V> | undefined {
    return this.#slices[index]?.rows
  }

  async absorb(batch: RecordBatch): Promise<void> {
    const slice = this.#slices[batch.partition]
    if (slice === undefined) return
    const rows: Row[] = []
    for (const { key, value, offset } of batch.records) {
      if (key !== null) rows.push({ key, value })
      else
        this.#context.worker.log.warn(
          { topic: batch.topic, partition: batch.partition, offset },
          `${this.#where}: passed over a record without a key`,
        )
    }
    if (rows.length > 0) await this.#store.commit([{ partition: slice.stored, rows, checkpoint: undefined }])
    slice.rows.absorbed(rows, batch.nextOffset)
  }

  position(partition: number): number {
    return this.#slices[partition]?.rows.position ?? 0
  }

  forgetWrites(partition: number): void {
    this.#slices[partition]?.rows.forgetWrites()
  }

  announce(): void {
    this.#onAnnounce(this)
  }

  close(): void {
    this.#onClose()
    for (const { rows } of this.#slices) rows.close()
  }
}

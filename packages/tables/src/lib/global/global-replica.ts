import { assertRowFormat, type RecordBatch } from '@millrace/core'
import type { Row, StoreDriver, StorePartition } from '@millrace/core/driver'
import type { TopicDeclaration, WorkerContext } from '@millrace/worker'
import type { RowShape } from '@millrace/state'
import { GlobalPartition } from './global-partition.ts'

/** A table that every worker keeps whole. */
export interface ReplicatedTable {
  readonly name: string
  /** The topic that is the table. */
  readonly source: TopicDeclaration
  /** Opens a worker's copy, empty. */
  openReplica(context: ReplicaContext): Promise<Replica>
}

export interface ReplicaContext {
  readonly worker: WorkerContext
  /** The copy's rows go here; nobody else commits to it at the same time. */
  readonly store: StoreDriver
  /** The first offset of each partition, in their order. */
  readonly beginnings: readonly number[]
  readonly cacheBytes: number
  readonly freeze: boolean
}

/** A worker's copy of a global table, for whoever keeps it current. */
export interface Replica {
  readonly partitionCount: number
  /** The next offset that a partition of the copy needs. */
  position(partition: number): number
  /** Brings a batch into the copy. Never two at a time. Throws `FORMAT_NEWER`, `ROW_UNDECODABLE`. */
  absorb(batch: RecordBatch): Promise<void>
  /** Writes of this worker that have not come back never will: from now on every key has the value that the topic gives it. */
  forgetWrites(partition: number): void
  /** It has been read to its end once: reads may begin. */
  announce(): void
  close(): void
}

export interface GlobalReplicaOptions<V> {
  readonly name: string
  readonly shape: RowShape<V>
  readonly context: ReplicaContext
  /** Where reads look for it, from `announce` to `close`. */
  readonly announced: Map<WorkerContext, GlobalReplica<V>>
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
  readonly #announced: Map<WorkerContext, GlobalReplica<V>>

  static async open<V>(options: GlobalReplicaOptions<V>): Promise<GlobalReplica<V>> {
    const { name, shape, context } = options
    const { store, beginnings, cacheBytes, freeze } = context
    const partitions = beginnings.length
    const slices = await Promise.all(
      beginnings.map(async (beginning, partition) => {
        const stored = await store.open(name, partition)
        // Rows of an earlier run cannot be used: nothing says that the topic is still the same.
        await stored.clear()
        const share = { cacheBytes: Math.floor(cacheBytes / partitions), freeze }
        return {
          stored,
          rows: new GlobalPartition({ shape, store: stored, partition, partitions, beginning, ...share }),
        }
      }),
    )
    return new GlobalReplica(options, slices)
  }

  private constructor({ shape, context, announced }: GlobalReplicaOptions<V>, slices: readonly Slice<V>[]) {
    this.#slices = slices
    this.#store = context.store
    this.#where = shape.where
    this.#context = context
    this.#announced = announced
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
    for (const { key, value, headers, offset } of batch.records) {
      if (key !== null) {
        assertRowFormat(headers, batch, offset)
        rows.push({ key, value })
      } else
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
    this.#announced.set(this.#context.worker, this)
  }

  close(): void {
    this.#announced.delete(this.#context.worker)
    for (const { rows } of this.#slices) rows.close()
  }
}

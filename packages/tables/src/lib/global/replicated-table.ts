import type { RecordBatch, StoreDriver, TopicDeclaration, WorkerContext } from '@millrace/core'

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

/** A worker's copy of a global table, as the part that feeds it sees it. */
export interface Replica {
  readonly partitionCount: number
  /** The next offset that a partition of the copy needs. */
  position(partition: number): number
  /** Brings a batch into the copy. Never two at a time. */
  absorb(batch: RecordBatch): Promise<void>
  /** What was written here and has not come back never will: from now on the topic speaks for all keys of the partition. */
  forgetWrites(partition: number): void
  /** It was read to its end once: reads may begin. */
  announce(): void
  close(): void
}

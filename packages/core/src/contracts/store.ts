/** One row of a table as bytes; a `null` value deletes the key. */
export interface Row {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** How much of its changelog a store has absorbed. */
export interface Checkpoint {
  /** `TopicInfo.id` of the changelog topic. */
  readonly topicId: string
  /** Next changelog offset to read. */
  readonly offset: number
  /** Wall time of the commit. */
  readonly wallTimeMs: number
}

export interface StoreChange {
  readonly partition: StorePartition
  /** In order; a later row for the same key wins. */
  readonly rows: readonly Row[]
  /** `undefined` leaves the checkpoint as it is. */
  readonly checkpoint: Checkpoint | undefined
}

/** Frozen facts by which suites and the worker tell stores apart. */
export interface StoreCapabilities {
  readonly name: string
  /** Rows are there again after the end of the process. */
  readonly durable: boolean
  /**
   * Made once for the place where the rows are and kept there, under the lock that keeps other processes out: the same
   * worker after every restart. Becomes the worker's `instanceId`. Left out where state ends with the process.
   */
  readonly workerId?: string
}

/**
 * Bytes under the tables of one worker. Reads are synchronous; the one write is asynchronous and atomic over many
 * partitions, so rows and checkpoints can never disagree. Calls after `close` throw `CLOSED`.
 */
export interface StoreDriver {
  readonly capabilities: StoreCapabilities
  /**
   * Opens or creates a partition of a table. Opening one that is open is `STORE_IN_USE`. What a durable store gives out
   * is as it was written: damaged rows are dropped here (`StorePartition.damage`) or are `STORE_CORRUPT` when read.
   */
  open(table: string, partition: number): Promise<StorePartition>
  /** As of the last commit, also of a partition that is not open, whose rows nobody looks at; `undefined` when it has none. */
  checkpoint(table: string, partition: number): Checkpoint | undefined
  /** All or nothing, also over a crash. Never two calls at a time. Rows are visible to reads when it resolves. */
  commit(changes: readonly StoreChange[]): Promise<void>
  /**
   * Copies all rows and checkpoints as they are at one moment into a directory that is empty or missing, as a store that
   * can be opened there; commits go on meanwhile. Left out where there is nothing to be kept.
   */
  backup?(directory: string): Promise<void>
  /** Another process uses `workerId`: what is kept here has been copied. It has another one the next time. Left out where there is none. */
  renewWorkerId?(): Promise<void>
  /** Waits for a commit under way. */
  close(): Promise<void>
}

export interface RangeOptions {
  /** First key, included; from the start when undefined. */
  readonly from?: Buffer
  /** End key, excluded; to the end when undefined. */
  readonly to?: Buffer
  readonly limit?: number
  /** From the end of the range down to its start. Default false. */
  readonly reverse?: boolean
}

export interface StorePartition {
  readonly table: string
  readonly partition: number
  /**
   * Why the rows that were kept here had to be dropped when it was opened: it starts empty and without a checkpoint, for
   * the changelog to fill. Left out where nothing was dropped.
   */
  readonly damage?: string
  /** As of the last commit; `undefined` for a new or cleared partition. */
  checkpoint(): Checkpoint | undefined
  /** The bytes stay valid after the call. */
  get(key: Buffer): Buffer | undefined
  /** In unsigned byte order of the keys, or from the last one down; a snapshot of the last commit, materialised before it returns. */
  range(options?: RangeOptions): readonly (readonly [key: Buffer, value: Buffer])[]
  readonly rows: number
  /** Drops rows and checkpoint. */
  clear(): Promise<void>
  /** Gives the partition back; its rows stay where the store is durable. */
  close(): Promise<void>
}

/** One row of a table as bytes; a `null` value deletes the key. */
export interface Row {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** How much of its changelog a store has. */
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
  /** Whether rows survive the end of the process. */
  readonly durable: boolean
  /**
   * Made once for the location of the rows and kept there, under the lock that keeps other processes out, so it
   * identifies the same worker after every restart. Becomes the worker's `instanceId`. Left out if state ends with the
   * process.
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
   * Opens or creates a partition of a table. Opening an open one is `STORE_IN_USE`. A durable store returns rows as
   * they were written: damaged rows are dropped here (`StorePartition.damage`) or are `STORE_CORRUPT` when read.
   */
  open(table: string, partition: number): Promise<StorePartition>
  /**
   * As of the last commit, even for a partition that is not open, whose rows are not checked; `undefined` if it has
   * none.
   */
  checkpoint(table: string, partition: number): Checkpoint | undefined
  /** All or nothing, even across a crash. Never two calls at a time. Reads see the rows when it resolves. */
  commit(changes: readonly StoreChange[]): Promise<void>
  /**
   * Copies all rows and checkpoints, as of one moment, into a directory that is empty or missing, as a store that can
   * be opened there; commits continue meanwhile. Left out by stores that keep nothing.
   */
  backup?(directory: string): Promise<void>
  /**
   * Called if another process uses `workerId`, because the stored data was copied. The store has another id the next
   * time it is opened. Left out if there is no id.
   */
  renewWorkerId?(): Promise<void>
  /** Waits for a commit under way. */
  close(): Promise<void>
}

export interface RangeOptions {
  /** First key, included; from the start if undefined. */
  readonly from?: Buffer
  /** End key, excluded; to the end if undefined. */
  readonly to?: Buffer
  readonly limit?: number
  /** From the end of the range down to its start. Default false. */
  readonly reverse?: boolean
}

export interface StorePartition {
  readonly table: string
  readonly partition: number
  /**
   * Why the stored rows had to be dropped when the partition was opened: it starts empty and without a checkpoint, and
   * the changelog fills it. Left out if nothing was dropped.
   */
  readonly damage?: string
  /** As of the last commit; `undefined` for a new or cleared partition. */
  checkpoint(): Checkpoint | undefined
  /** The bytes stay valid after the call. */
  get(key: Buffer): Buffer | undefined
  /** In unsigned byte order of the keys, or in reverse. A snapshot of the last commit, copied before the call returns. */
  range(options?: RangeOptions): readonly (readonly [key: Buffer, value: Buffer])[]
  readonly rows: number
  /** Deletes rows and checkpoint. */
  clear(): Promise<void>
  /** Releases the partition; a durable store keeps its rows. */
  close(): Promise<void>
}

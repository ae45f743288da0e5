import { deferred, partitionKey } from '@millrace/core'
import type { Checkpoint, StoreChange, StoreDriver, StorePartition } from '@millrace/core/driver'

/** The turn of one user of a partition. Users have it one after the other. */
interface Turn {
  /** Resolves when the previous user has closed the partition. */
  readonly before: Promise<void> | undefined
  end(): void
}

/**
 * The worker's store. It makes one commit at a time, and opens no partition again before it is closed: a task that is
 * lost while it is being opened may return before that has ended, and then waits. A partition that is needed again soon
 * (for a reopened task, or a task that becomes a warm copy or the reverse) stays open meanwhile, so that a store in
 * memory keeps its rows.
 */
export class TaskStores {
  readonly #driver: StoreDriver
  /** By partition: resolves when its latest user has closed it. */
  readonly #taken = new Map<string, Promise<void>>()
  /** The turns of open partitions that are in use. */
  readonly #turns = new Map<StorePartition, Turn>()
  /** Partitions that are open but unused. */
  readonly #parked = new Map<string, StorePartition>()
  #wanted: ReadonlySet<string> = new Set()
  #last: Promise<void> = Promise.resolve()

  constructor(driver: StoreDriver) {
    this.#driver = driver
  }

  get durable(): boolean {
    return this.#driver.capabilities.durable
  }

  /** The checkpoint of a partition, open or not. */
  checkpoint(table: string, partition: number): Checkpoint | undefined {
    return this.#driver.checkpoint(table, partition)
  }

  /** Whether a task or a warm copy uses this partition, or will use it again. */
  isInUse(table: string, partition: number): boolean {
    const key = partitionKey({ topic: table, partition })
    return this.#taken.has(key) || this.#parked.has(key)
  }

  /**
   * Resolves when everything now in use is closed. Tasks that are opening a store must know by then that they are lost,
   * or they would not close it.
   */
  async released(): Promise<void> {
    await Promise.all(this.#taken.values())
  }

  async open(table: string, partition: number): Promise<StorePartition> {
    const key = partitionKey({ topic: table, partition })
    const turn = this.#take(key)
    await turn.before
    try {
      const parked = this.#parked.get(key)
      this.#parked.delete(key)
      const opened = parked ?? (await this.#driver.open(table, partition))
      this.#turns.set(opened, turn)
      return opened
    } catch (thrown) {
      turn.end()
      throw thrown
    }
  }

  async close(partition: StorePartition): Promise<void> {
    try {
      // The commit under way may still write to the partition.
      await this.#last
      const key = keyOf(partition)
      if (this.#wanted.has(key)) this.#parked.set(key, partition)
      else await partition.close()
    } finally {
      this.#turns.get(partition)?.end()
      this.#turns.delete(partition)
    }
  }

  /** Sets the partitions (named by `partitionKey`) that will be opened again: closing them keeps them open. */
  async want(wanted: ReadonlySet<string>): Promise<void> {
    this.#wanted = wanted
    const left = [...this.#parked].filter(([key]) => !wanted.has(key))
    for (const [key] of left) this.#parked.delete(key)
    // A new user of one of these has to wait until it is closed.
    await Promise.all(left.map(([key, partition]) => this.#closeParked(key, partition)))
  }

  async shut(): Promise<void> {
    await this.#last
    await this.want(new Set())
    await this.#driver.close()
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    if (changes.length === 0) return
    const commit = this.#last.then(() => this.#driver.commit(changes))
    this.#last = commit.then(settledQuietly, settledQuietly)
    await commit
  }

  async #closeParked(key: string, partition: StorePartition): Promise<void> {
    const turn = this.#take(key)
    try {
      await turn.before
      await partition.close()
    } finally {
      turn.end()
    }
  }

  #take(key: string): Turn {
    const before = this.#taken.get(key)
    const ended = deferred<void>()
    this.#taken.set(key, ended.promise)
    const end = (): void => {
      ended.resolve()
      if (this.#taken.get(key) === ended.promise) this.#taken.delete(key)
    }
    return { before, end }
  }
}

function keyOf({ table, partition }: StorePartition): string {
  return partitionKey({ topic: table, partition })
}

/** For callers that only wait for the end; others get the outcome. */
function settledQuietly(): void {}

import {
  type Checkpoint,
  type Deferred,
  deferred,
  partitionKey,
  type StoreChange,
  type StoreDriver,
  type StorePartition,
  toError,
} from '@millrace/core'

/**
 * The worker's store: one commit at a time, and no partition opened again before it is closed: a task that is lost
 * while it is being opened may come back before that has ended, and waits for it. What is wanted again soon (a task
 * that is opened anew, a task that becomes a warm copy or the other way round) stays open meanwhile, so that a store in
 * memory keeps its rows.
 */
export class TaskStores {
  readonly #driver: StoreDriver
  /** By partition: resolves when the last of those who asked for it has closed it. */
  readonly #taken = new Map<string, Promise<void>>()
  readonly #closed = new Map<StorePartition, Deferred<void>>()
  /** Open, and used by nobody. */
  readonly #parked = new Map<string, StorePartition>()
  #wanted: ReadonlySet<string> = new Set()
  #last: Promise<void> = Promise.resolve()

  constructor(driver: StoreDriver) {
    this.#driver = driver
  }

  get durable(): boolean {
    return this.#driver.capabilities.durable
  }

  /** Of a partition, open or not. */
  checkpoint(table: string, partition: number): Checkpoint | undefined {
    return this.#driver.checkpoint(table, partition)
  }

  /** Whether a task or a warm copy has this partition, or will have it again. */
  isInUse(table: string, partition: number): boolean {
    const key = partitionKey({ topic: table, partition })
    return this.#taken.has(key) || this.#parked.has(key)
  }

  /**
   * Resolves when all that is in use now is closed. Tasks that are opening a store must know by then that they are
   * lost, or they would not close it.
   */
  async released(): Promise<void> {
    await Promise.all(this.#taken.values())
  }

  async open(table: string, partition: number): Promise<StorePartition> {
    const key = partitionKey({ topic: table, partition })
    const before = this.#taken.get(key)
    const closed = deferred<void>()
    this.#taken.set(key, closed.promise)
    void closed.promise.then(() => {
      if (this.#taken.get(key) === closed.promise) this.#taken.delete(key)
    })
    await before
    try {
      const opened = this.#unpark(key) ?? (await this.#driver.open(table, partition))
      this.#closed.set(opened, closed)
      return opened
    } catch (thrown) {
      closed.resolve()
      throw thrown
    }
  }

  async close(partition: StorePartition): Promise<void> {
    // A commit under way may still write to it.
    const closed = this.#last.then(() => {
      const key = keyOf(partition)
      if (!this.#wanted.has(key)) return partition.close()
      this.#parked.set(key, partition)
      return undefined
    })
    const settle = (): void => {
      this.#closed.get(partition)?.resolve()
      this.#closed.delete(partition)
    }
    closed.then(settle, settle)
    await closed
  }

  /** Partitions, as `partitionKey` names them, that will be opened again: closing them leaves them as they are. */
  async want(wanted: ReadonlySet<string>): Promise<void> {
    this.#wanted = wanted
    const left = [...this.#parked].filter(([key]) => !wanted.has(key))
    for (const [key] of left) this.#parked.delete(key)
    // Whoever asks for one now has to wait for the end of it.
    await Promise.all(left.map(([key, partition]) => this.#closeParked(key, partition)))
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    if (changes.length === 0) return
    const commit = this.#last.then(() => this.#driver.commit(changes))
    this.#last = commit.then(settledQuietly, settledQuietly)
    await commit
  }

  #unpark(key: string): StorePartition | undefined {
    const parked = this.#parked.get(key)
    this.#parked.delete(key)
    return parked
  }

  async #closeParked(key: string, partition: StorePartition): Promise<void> {
    const closed = deferred<void>()
    const before = this.#taken.get(key)
    this.#taken.set(key, closed.promise)
    try {
      await before
      await partition.close()
    } finally {
      closed.resolve()
      if (this.#taken.get(key) === closed.promise) this.#taken.delete(key)
    }
  }

  async shut(): Promise<void> {
    await this.#last
    try {
      await this.want(new Set())
      await this.#driver.close()
    } catch (thrown) {
      throw toError(thrown)
    }
  }
}

function keyOf({ table, partition }: StorePartition): string {
  return partitionKey({ topic: table, partition })
}

/** For those who only wait until it is over. The caller gets the outcome. */
function settledQuietly(): void {}

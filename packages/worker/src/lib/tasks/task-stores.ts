import {
  type Deferred,
  deferred,
  partitionKey,
  type StoreChange,
  type StoreDriver,
  type StorePartition,
  toError,
} from '@millrace/core'

/**
 * The worker's store: one commit at a time, and no partition opened again before it is closed: a task that is lost while
 * it is being opened may come back before that has ended, and waits for it.
 */
export class TaskStores {
  readonly #driver: StoreDriver
  /** By partition: resolves when the last of those who asked for it has closed it. */
  readonly #taken = new Map<string, Promise<void>>()
  readonly #closed = new Map<StorePartition, Deferred<void>>()
  #last: Promise<void> = Promise.resolve()

  constructor(driver: StoreDriver) {
    this.#driver = driver
  }

  get durable(): boolean {
    return this.#driver.capabilities.durable
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
      const opened = await this.#driver.open(table, partition)
      this.#closed.set(opened, closed)
      return opened
    } catch (thrown) {
      closed.resolve()
      throw thrown
    }
  }

  async close(partition: StorePartition): Promise<void> {
    // A commit under way may still write to it.
    const closed = this.#last.then(() => partition.close())
    const told = (): void => {
      this.#closed.get(partition)?.resolve()
      this.#closed.delete(partition)
    }
    closed.then(told, told)
    await closed
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    if (changes.length === 0) return
    const commit = this.#last.then(() => this.#driver.commit(changes))
    this.#last = commit.then(settledQuietly, settledQuietly)
    await commit
  }

  async shut(): Promise<void> {
    await this.#last
    try {
      await this.#driver.close()
    } catch (thrown) {
      throw toError(thrown)
    }
  }
}

/** For those who only wait until it is over; the caller has the outcome. */
function settledQuietly(): void {}

import { partitionKey, type StoreChange, type StoreDriver, type StorePartition, toError } from '@millrace/core'

/** The worker's store: one commit at a time, and no partition opened again before it is closed. */
export class TaskStores {
  readonly #driver: StoreDriver
  readonly #closing = new Map<string, Promise<void>>()
  #last: Promise<void> = Promise.resolve()

  constructor(driver: StoreDriver) {
    this.#driver = driver
  }

  get durable(): boolean {
    return this.#driver.capabilities.durable
  }

  async open(table: string, partition: number): Promise<StorePartition> {
    await this.#closing.get(partitionKey({ topic: table, partition }))
    return this.#driver.open(table, partition)
  }

  async close(partition: StorePartition): Promise<void> {
    const key = partitionKey({ topic: partition.table, partition: partition.partition })
    // A commit under way may still write to it.
    const closed = this.#last.then(() => partition.close())
    const settled = closed.then(settledQuietly, settledQuietly)
    this.#closing.set(key, settled)
    try {
      await closed
    } finally {
      if (this.#closing.get(key) === settled) this.#closing.delete(key)
    }
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

import {
  type Checkpoint,
  MillraceError,
  partitionKey,
  type StoreChange,
  type StoreDriver,
  type StorePartition,
} from '@millrace/core'
import { MemoryPartition } from './memory-partition.ts'

/**
 * Table state in memory: rebuilt from the changelog whenever a partition comes to a worker. The default store.
 *
 * @example
 * createApp({ id: 'word-counts', store: 'memory:' })
 */
export function memoryStore(): StoreDriver {
  return new MemoryStore()
}

class MemoryStore implements StoreDriver {
  readonly capabilities: StoreDriver['capabilities'] = Object.freeze({ name: 'memory', durable: false })
  readonly #open = new Map<string, MemoryPartition>()
  #closed = false

  async open(table: string, partition: number): Promise<StorePartition> {
    this.#assertOpen()
    const key = partitionKey({ topic: table, partition })
    if (this.#open.has(key))
      throw new MillraceError('STORE_IN_USE', `Partition ${partition} of table "${table}" is open already.`)
    const opened = new MemoryPartition({ table, partition, onClose: () => this.#open.delete(key) })
    this.#open.set(key, opened)
    return opened
  }

  checkpoint(table: string, partition: number): Checkpoint | undefined {
    this.#assertOpen()
    return this.#open.get(partitionKey({ topic: table, partition }))?.checkpoint()
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    this.#assertOpen()
    const writes = changes.map((change) => ({ change, target: this.#own(change.partition) }))
    for (const { change, target } of writes) target.write(change.rows, change.checkpoint)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const partition of this.#open.values()) partition.shut()
    this.#open.clear()
  }

  /** All partitions are checked before any is written: a commit happens whole or not at all. */
  #own(partition: StorePartition): MemoryPartition {
    const own = this.#open.get(partitionKey({ topic: partition.table, partition: partition.partition }))
    if (own !== undefined && own === partition) return own
    throw new MillraceError(
      'CLOSED',
      `Partition ${partition.partition} of table "${partition.table}" is not open in this store.`,
    )
  }

  #assertOpen(): void {
    if (this.#closed) throw new MillraceError('CLOSED', 'The memory store is closed.')
  }
}

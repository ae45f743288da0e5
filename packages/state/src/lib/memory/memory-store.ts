import { MillraceError, partitionKey } from '@millrace/core'
import type { Checkpoint, RangeOptions, Row, StoreChange, StoreDriver, StorePartition } from '@millrace/core/driver'
import { SortedKeys } from './sorted-keys.ts'

/**
 * Keeps state in memory: a partition is rebuilt from the changelog whenever it comes to a worker. The default store.
 *
 * @example
 * createApp({ id: 'word-counts', store: 'memory:' })
 */
export function memoryStore(): StoreDriver {
  return new MemoryStore()
}

class MemoryStore implements StoreDriver {
  readonly capabilities: StoreDriver['capabilities'] = Object.freeze({ name: 'memory', durable: false })
  readonly #open = new Map<string, MemoryRows>()
  #closed = false

  async open(table: string, partition: number): Promise<StorePartition> {
    this.#assertOpen()
    const key = partitionKey({ topic: table, partition })
    if (this.#open.has(key))
      throw new MillraceError('STORE_IN_USE', `Partition ${partition} of table "${table}" is open already.`)
    const opened = new MemoryRows({ table, partition, onClose: () => this.#open.delete(key) })
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

  /** All partitions are checked before any is written, so that a commit happens whole or not at all. */
  #own(partition: StorePartition): MemoryRows {
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

/**
 * Values up to this size are kept as latin1 strings, which take half the memory of a Buffer each and keep no reference to
 * the response in which they came. Larger ones are copied into a Buffer, which is then faster.
 */
const LONGEST_AS_TEXT = 256

type StoredValue = string | Buffer

interface MemoryRowsOptions {
  readonly table: string
  readonly partition: number
  readonly onClose: () => void
}

/** Rows of one partition, keyed by the latin1 text of the key, whose code unit order is the byte order. */
class MemoryRows implements StorePartition {
  readonly table: string
  readonly partition: number
  readonly #onClose: () => void
  readonly #rows = new Map<string, StoredValue>()
  #checkpoint: Checkpoint | undefined
  /** Built for the first range and kept up to date from then on: tables that are never scanned pay nothing. */
  #order: SortedKeys | undefined
  #closed = false

  constructor({ table, partition, onClose }: MemoryRowsOptions) {
    this.table = table
    this.partition = partition
    this.#onClose = onClose
  }

  get rows(): number {
    this.#assertOpen()
    return this.#rows.size
  }

  checkpoint(): Checkpoint | undefined {
    this.#assertOpen()
    return this.#checkpoint
  }

  get(key: Buffer): Buffer | undefined {
    this.#assertOpen()
    const kept = this.#rows.get(key.toString('latin1'))
    return kept === undefined ? undefined : given(kept)
  }

  range(options: RangeOptions = {}): readonly (readonly [key: Buffer, value: Buffer])[] {
    this.#assertOpen()
    this.#order ??= new SortedKeys(this.#rows.keys())
    const [from, to] = [options.from?.toString('latin1'), options.to?.toString('latin1')]
    const limit = options.limit ?? Infinity
    const keys = options.reverse === true ? this.#order.back(from, to, limit) : this.#order.range(from, to, limit)
    return keys.map((key) => [Buffer.from(key, 'latin1'), given(this.#rows.get(key) ?? '')] as const)
  }

  /** Called by the store, for all partitions of a commit in one go. */
  write(rows: readonly Row[], checkpoint: Checkpoint | undefined): void {
    for (const { key, value } of rows) {
      const text = key.toString('latin1')
      if (value === null) {
        if (this.#rows.delete(text)) this.#order?.delete(text)
        continue
      }
      if (this.#order !== undefined && !this.#rows.has(text)) this.#order.add(text)
      this.#rows.set(text, value.length > LONGEST_AS_TEXT ? Buffer.from(value) : value.toString('latin1'))
    }
    if (checkpoint !== undefined) this.#checkpoint = checkpoint
  }

  async clear(): Promise<void> {
    this.#assertOpen()
    this.#rows.clear()
    this.#order = undefined
    this.#checkpoint = undefined
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.shut()
    this.#onClose()
  }

  /** Closes without notifying the store. */
  shut(): void {
    this.#closed = true
    this.#rows.clear()
    this.#order = undefined
  }

  #assertOpen(): void {
    if (!this.#closed) return
    throw new MillraceError(
      'CLOSED',
      `Partition ${this.partition} of table "${this.table}" in the memory store is closed.`,
    )
  }
}

function given(kept: StoredValue): Buffer {
  return typeof kept === 'string' ? Buffer.from(kept, 'latin1') : kept
}

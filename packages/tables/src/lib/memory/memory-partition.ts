import { MillraceError, type Checkpoint, type RangeOptions, type Row, type StorePartition } from '@millrace/core'
import { SortedKeys } from './sorted-keys.ts'

/**
 * Values up to this size are kept as latin1 strings: half the memory of a Buffer each, and nothing of the response that
 * they came in stays referenced. Larger ones are copied into a Buffer, which is then the faster way.
 */
const LONGEST_AS_TEXT = 256

type Kept = string | Buffer

export interface MemoryPartitionOptions {
  readonly table: string
  readonly partition: number
  readonly onClose: () => void
}

/** Rows of one partition, keyed by the latin1 text of the key: its code unit order is the byte order. */
export class MemoryPartition implements StorePartition {
  readonly table: string
  readonly partition: number
  readonly #onClose: () => void
  readonly #rows = new Map<string, Kept>()
  #checkpoint: Checkpoint | undefined
  /** Built when a range is first asked for, kept up to date from then on: tables that are never scanned pay nothing. */
  #order: SortedKeys | undefined
  #closed = false

  constructor({ table, partition, onClose }: MemoryPartitionOptions) {
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
    const keys = this.#order.range(
      options.from?.toString('latin1'),
      options.to?.toString('latin1'),
      options.limit ?? Infinity,
    )
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

  /** Closes without telling the store. */
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

function given(kept: Kept): Buffer {
  return typeof kept === 'string' ? Buffer.from(kept, 'latin1') : kept
}

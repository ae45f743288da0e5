import { MillraceError } from '@millrace/core'
import type { Checkpoint, RangeOptions, Row, StoreChange, StoreDriver, StorePartition } from '@millrace/core/driver'

/** A store of one's own: each partition of a table is a `Map` that is sorted when somebody wants a range of it. */
export class SortedStore implements StoreDriver {
  readonly capabilities: StoreDriver['capabilities'] = { name: 'sorted map', durable: false }
  readonly #open = new Map<string, SortedPartition>()
  #isClosed = false

  async open(table: string, partition: number): Promise<StorePartition> {
    this.#assertOpen()
    const name = nameOf(table, partition)
    if (this.#open.has(name)) throw new MillraceError('STORE_IN_USE', `${name} is open already.`)
    const opened = new SortedPartition(table, partition, () => this.#open.delete(name))
    this.#open.set(name, opened)
    return opened
  }

  checkpoint(table: string, partition: number): Checkpoint | undefined {
    this.#assertOpen()
    return this.#open.get(nameOf(table, partition))?.checkpoint()
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    this.#assertOpen()
    // All of them are looked up before the first is written: all or nothing.
    const writes = changes.map(({ partition: given, rows, checkpoint }) => {
      const { table, partition } = given
      const own = this.#open.get(nameOf(table, partition))
      if (own === undefined || own !== given)
        throw new MillraceError('CLOSED', `${nameOf(table, partition)} is not open.`)
      return { own, rows, checkpoint }
    })
    for (const { own, rows, checkpoint } of writes) own.write(rows, checkpoint)
  }

  async close(): Promise<void> {
    for (const partition of this.#open.values()) await partition.close()
    this.#isClosed = true
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new MillraceError('CLOSED', 'The store is closed.')
  }
}

function nameOf(table: string, partition: number): string {
  return `Partition ${partition} of table "${table}"`
}

class SortedPartition implements StorePartition {
  readonly table: string
  readonly partition: number
  readonly #onClose: () => void
  /** By the key's bytes, one character each: in that form text sorts as bytes do. */
  readonly #values = new Map<string, Buffer>()
  #checkpoint: Checkpoint | undefined
  #isClosed = false

  constructor(table: string, partition: number, onClose: () => void) {
    this.table = table
    this.partition = partition
    this.#onClose = onClose
  }

  get rows(): number {
    return this.#values.size
  }

  checkpoint(): Checkpoint | undefined {
    this.#assertOpen()
    return this.#checkpoint
  }

  get(key: Buffer): Buffer | undefined {
    this.#assertOpen()
    return this.#values.get(key.toString('latin1'))
  }

  range({ from, to, limit, reverse = false }: RangeOptions = {}): readonly (readonly [key: Buffer, value: Buffer])[] {
    this.#assertOpen()
    const [first, end] = [from?.toString('latin1') ?? '', to?.toString('latin1')]
    return [...this.#values]
      .filter(([key]) => key >= first && (end === undefined || key < end))
      .sort(([a], [b]) => (a < b === reverse ? 1 : -1))
      .slice(0, limit)
      .map(([key, value]) => [Buffer.from(key, 'latin1'), value])
  }

  write(rows: readonly Row[], checkpoint: Checkpoint | undefined): void {
    for (const { key, value } of rows) {
      if (value === null) this.#values.delete(key.toString('latin1'))
      else this.#values.set(key.toString('latin1'), value)
    }
    this.#checkpoint = checkpoint ?? this.#checkpoint
  }

  async clear(): Promise<void> {
    this.#assertOpen()
    this.#values.clear()
    this.#checkpoint = undefined
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onClose()
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new MillraceError('CLOSED', `Table "${this.table}" was given back.`)
  }
}

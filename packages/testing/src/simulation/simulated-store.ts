import { MillraceError, partitionKey } from '@millrace/core'
import type { Checkpoint, RangeOptions, StoreChange, StoreDriver, StorePartition } from '@millrace/core/driver'

interface KeptPartition {
  readonly table: string
  readonly partition: number
  readonly rows: Map<string, readonly [key: Buffer, value: Buffer]>
  checkpoint: Checkpoint | undefined
}

/** A disk: what was committed on it outlives the worker. */
export class SimulatedDisk {
  /** As `StoreDriver.capabilities.workerId`. */
  readonly workerId: string | undefined
  readonly #partitions = new Map<string, KeptPartition>()

  constructor(workerId: string | undefined) {
    this.workerId = workerId
  }

  /** Of every table partition ever opened here. */
  get partitions(): readonly (Pick<KeptPartition, 'table' | 'partition'> & Pick<KeptPartition, 'rows'>)[] {
    return [...this.#partitions.values()]
  }

  checkpoint(table: string, partition: number): Checkpoint | undefined {
    return this.#partitions.get(partitionKey({ topic: table, partition }))?.checkpoint
  }

  of(table: string, partition: number): KeptPartition {
    const key = partitionKey({ topic: table, partition })
    let kept = this.#partitions.get(key)
    if (kept === undefined)
      this.#partitions.set(key, (kept = { table, partition, rows: new Map(), checkpoint: undefined }))
    return kept
  }
}

/** The store of one worker on a disk. Each commit waits for `hold` before and after it is on the disk. */
export class SimulatedStore implements StoreDriver {
  readonly capabilities: StoreDriver['capabilities']
  readonly #disk: SimulatedDisk
  readonly #hold: (what: string) => Promise<void>
  readonly #open = new Map<StorePartition, KeptPartition>()
  #closed = false
  #leftOpen: readonly Pick<KeptPartition, 'table' | 'partition'>[] = []

  constructor(disk: SimulatedDisk, hold: (what: string) => Promise<void>) {
    this.#disk = disk
    this.#hold = hold
    const { workerId } = disk
    this.capabilities = Object.freeze({
      name: 'simulated',
      durable: true,
      ...(workerId === undefined ? {} : { workerId }),
    })
  }

  /** Table partitions that were still open when the store was closed. */
  get leftOpen(): readonly Pick<KeptPartition, 'table' | 'partition'>[] {
    return this.#leftOpen
  }

  /** Table partitions that are open. */
  get opened(): readonly Pick<KeptPartition, 'table' | 'partition' | 'rows'>[] {
    return [...this.#open.values()]
  }

  async open(table: string, partition: number): Promise<StorePartition> {
    this.#assertOpen()
    await this.#hold('open store')
    const kept = this.#disk.of(table, partition)
    if ([...this.#open.values()].includes(kept))
      throw new MillraceError('STORE_IN_USE', `Partition ${partition} of table "${table}" is open already.`)
    const opened: StorePartition = {
      table,
      partition,
      checkpoint: () => kept.checkpoint,
      get: (key) => kept.rows.get(key.toString('latin1'))?.[1],
      range: (options) => rangeOf(kept, options),
      get rows() {
        return kept.rows.size
      },
      clear: async () => {
        kept.rows.clear()
        kept.checkpoint = undefined
      },
      close: async () => void this.#open.delete(opened),
    }
    this.#open.set(opened, kept)
    return opened
  }

  checkpoint(table: string, partition: number): Checkpoint | undefined {
    this.#assertOpen()
    return this.#disk.checkpoint(table, partition)
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    this.#assertOpen()
    if (changes.length === 0) return
    await this.#hold('store')
    const writes = changes.map((change) => ({ change, kept: this.#own(change.partition) }))
    for (const { change, kept } of writes) {
      for (const { key, value } of change.rows) {
        if (value === null) kept.rows.delete(key.toString('latin1'))
        else kept.rows.set(key.toString('latin1'), [key, value])
      }
      if (change.checkpoint !== undefined) kept.checkpoint = change.checkpoint
    }
    await this.#hold('store answer')
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#leftOpen = this.opened
    this.#closed = true
    this.#open.clear()
  }

  #own(partition: StorePartition): KeptPartition {
    const kept = this.#open.get(partition)
    if (kept !== undefined) return kept
    throw new MillraceError(
      'CLOSED',
      `Partition ${partition.partition} of table "${partition.table}" is not open in this store.`,
    )
  }

  #assertOpen(): void {
    if (this.#closed) throw new MillraceError('CLOSED', 'The simulated store is closed.')
  }
}

function rangeOf(
  { rows }: KeptPartition,
  { from, to, limit = Infinity, reverse = false }: RangeOptions = {},
): readonly (readonly [Buffer, Buffer])[] {
  return [...rows.values()]
    .filter(([key]) => (from === undefined || key.compare(from) >= 0) && (to === undefined || key.compare(to) < 0))
    .toSorted(([a], [b]) => (reverse ? b.compare(a) : a.compare(b)))
    .slice(0, limit)
}

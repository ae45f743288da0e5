import type { Database } from 'lmdb'
import { MillraceError } from '@millrace/core'
import type { Checkpoint, RangeOptions, Row, StorePartition } from '@millrace/core/driver'
import { checkedRow, checkedValue } from './checked-row.ts'
import { checkpointName, keptCheckpoint, writeCheckpoint } from './facts.ts'
import type { Environment } from './environment.ts'
import {
  isLong,
  logicalRow,
  physicalEnd,
  physicalKey,
  type PhysicalRow,
  physicalStart,
  sharedPart,
  valueOf,
} from './physical-key.ts'
import { storeError } from './store-error.ts'

export interface LmdbPartitionOptions {
  readonly table: string
  readonly partition: number
  readonly environment: Environment
  readonly rows: Database<Buffer, Buffer>
  /** The seed of its rows' checksums. */
  readonly seed: number
  /** Why the rows that were stored before were dropped. */
  readonly damage: string | undefined
  /** Runs a write that is not a commit, after commits under way. */
  readonly write: (action: () => void) => Promise<void>
  readonly onClose: () => void
}

/** One table partition: a database of the environment, and its checkpoint among the facts. */
export class LmdbPartition implements StorePartition {
  readonly table: string
  readonly partition: number
  readonly damage?: string
  readonly #options: LmdbPartitionOptions
  #closed = false
  /** Set when a row differs from what was written. */
  #fault: MillraceError | undefined

  constructor(options: LmdbPartitionOptions) {
    this.table = options.table
    this.partition = options.partition
    if (options.damage !== undefined) this.damage = options.damage
    this.#options = options
  }

  get rows(): number {
    return this.#reading(() => {
      const stats: { readonly entryCount?: unknown } = this.#options.rows.getStats()
      return Number(stats.entryCount ?? 0)
    })
  }

  checkpoint(): Checkpoint | undefined {
    this.assertOpen()
    return keptCheckpoint(this.#options.environment.facts, this)
  }

  get(key: Buffer): Buffer | undefined {
    return this.#reading(() => {
      const physical = physicalKey(key)
      const stored = this.#options.rows.get(physical)
      return stored === undefined ? undefined : valueOf(key, this.#checked({ key: physical, value: stored }))
    })
  }

  range(options: RangeOptions = {}): readonly (readonly [key: Buffer, value: Buffer])[] {
    return this.#reading(() => this.#range(options))
  }

  /** Called inside the transaction of a commit. */
  put(rows: readonly Row[], checkpoint: Checkpoint | undefined): void {
    // Work based on damaged rows must not be committed, even if the error was caught.
    if (this.#fault !== undefined) throw this.#fault
    for (const { key, value } of rows) {
      if (value === null) void this.#options.rows.remove(physicalKey(key))
      else {
        const row = checkedRow(key, value, this.#options.seed)
        void this.#options.rows.put(row.key, row.value)
      }
    }
    if (checkpoint !== undefined)
      this.#options.environment.facts.put(checkpointName(this.table, this.partition), writeCheckpoint(checkpoint))
  }

  async clear(): Promise<void> {
    this.assertOpen()
    await this.#options.write(() => {
      this.#options.rows.clearSync()
      this.#options.environment.facts.remove(checkpointName(this.table, this.partition))
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.shut()
    this.#options.onClose()
  }

  /** Closes without notifying the store. */
  shut(): void {
    this.#closed = true
  }

  assertOpen(): void {
    if (this.#closed) throw new MillraceError('CLOSED', `${this.#where()} is closed.`)
  }

  #range({ from, to, limit = Infinity, reverse = false }: RangeOptions): (readonly [key: Buffer, value: Buffer])[] {
    const found: (readonly [Buffer, Buffer])[] = []
    const order = reverse ? -1 : 1
    const add = (row: readonly [Buffer, Buffer]): void => {
      const inside = (from === undefined || row[0].compare(from) >= 0) && (to === undefined || row[0].compare(to) < 0)
      if (inside && found.length < limit) found.push(row)
    }
    // Long keys that agree in the bytes that LMDB has come sorted by hash, and are sorted among themselves here.
    let alike: (readonly [Buffer, Buffer])[] = []
    let shared: Buffer | undefined
    const addAlike = (): void => {
      for (const row of alike.sort(([a], [b]) => order * a.compare(b))) add(row)
      alike = []
      shared = undefined
    }
    if (limit <= 0) return found
    const first = physicalStart(from)
    for (const { key, value } of this.#options.rows.getRange(spanOf(first, physicalEnd(to), reverse))) {
      if (reverse && key.compare(first) < 0) break
      const row = { key, value: this.#checked({ key, value }) }
      if (shared !== undefined && !(isLong(row.key) && sharedPart(row.key).equals(shared))) addAlike()
      if (found.length >= limit) break
      if (isLong(row.key)) {
        shared = sharedPart(row.key)
        alike.push(logicalRow(row))
      } else add(logicalRow(row))
    }
    addAlike()
    return found
  }

  #checked(row: PhysicalRow): Buffer {
    const value = checkedValue(row, this.#options.seed)
    if (value !== undefined) return value
    this.#fault = new MillraceError(
      'STORE_CORRUPT',
      `A row of ${this.#where()} does not fit its checksum in "${this.#options.environment.dataPath}": the disk has changed it. The next start rebuilds the partition from its changelog.`,
    )
    throw this.#fault
  }

  #reading<T>(read: () => T): T {
    this.assertOpen()
    try {
      return read()
    } catch (thrown) {
      throw storeError(thrown, `${this.#where()} cannot be read`)
    }
  }

  #where(): string {
    return `Partition ${this.partition} of table "${this.table}"`
  }
}

/**
 * The range that LMDB reads. In reverse its range includes the upper end, and excludes the lower one, which is checked
 * row by row.
 */
function spanOf(
  start: Buffer,
  end: Buffer | undefined,
  reverse: boolean,
): { readonly start?: Buffer; readonly end?: Buffer; readonly reverse?: boolean } {
  if (reverse) return { ...(end === undefined ? {} : { start: end }), end: NO_BYTES, reverse }
  return end === undefined ? { start } : { start, end }
}

const NO_BYTES = Buffer.alloc(0)

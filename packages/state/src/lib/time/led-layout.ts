import type { Row, StorePartition } from '@millrace/core/driver'
import { SortedKeys } from '../memory/sorted-keys.ts'
import type { KeyEntry } from '../rows/key-entry.ts'
import type { DueWindow, RowsRange, StoredRow } from './close-queue.ts'
import { isSessionRow } from './sessions.ts'
import { startOf, windowRow } from './window-keys.ts'
import type { Expired, WindowLayout } from './window-layout.ts'

/** Statistics stop counting at this number. */
const MOST_COUNTED = 1000
const TEXT = 'latin1'
const LEAD: Buffer = Buffer.from([1])

/** Windows that share rows. Rows by time refer to those rows: each has a time and a key, and no value. */
export abstract class LedLayout<V> implements WindowLayout<V> {
  protected readonly store: Pick<StorePartition, 'get' | 'range'>
  /** Rows by time that the store does not have yet. */
  readonly #added = new SortedKeys([])
  #fresh: string[] = []
  #taken: string[] = []

  constructor(store: Pick<StorePartition, 'get' | 'range'>) {
    this.store = store
  }

  abstract changed(entry: KeyEntry<V>, before: V | undefined): number | undefined
  abstract firstUnstored(entries: Iterable<KeyEntry<V>>): number
  abstract dueBy(row: Buffer, value: Buffer): DueWindow | undefined
  abstract expiredWith(row: Buffer, expired: Expired): readonly Buffer[]
  abstract starts(from: number, to: number): readonly number[]
  abstract dropBefore(time: number): void

  get first(): number | undefined {
    return this.from(0)
  }

  from(time: number): number | undefined {
    return this.#read(time, Infinity, 1)[0]
  }

  between(from: number, to: number): readonly number[] {
    return this.#read(from, to, MOST_COUNTED)
  }

  range({ from, to, limit }: RowsRange): readonly StoredRow[] {
    const stored = this.store.range({ from, to, limit })
    const added = this.#added.range(from.toString(TEXT), to.toString(TEXT), limit)
    if (added.length === 0) return stored
    const found = new Map(stored.map((row) => [row[0].toString(TEXT), row]))
    for (const text of added) found.set(text, [Buffer.from(text, TEXT), LEAD])
    const sorted = [...found.values()].sort(([a], [b]) => Buffer.compare(a, b))
    return sorted.slice(0, limit)
  }

  takeRows(): readonly Row[] {
    this.#taken = this.#fresh
    this.#fresh = []
    return this.#taken.map((row) => ({ key: Buffer.from(row, TEXT), value: LEAD }))
  }

  rowsStored(): number {
    const { length } = this.#taken
    for (const row of this.#taken) this.#added.delete(row)
    this.#taken = []
    return length
  }

  rowsReturned(): void {
    this.#fresh = [...this.#taken, ...this.#fresh]
    this.#taken = []
  }

  isOwn(row: Buffer): boolean {
    return isSessionRow(row)
  }

  /** Whether a row by time is there, stored or not. */
  protected has(row: Buffer): boolean {
    return this.#added.has(row.toString(TEXT)) || this.store.get(row) !== undefined
  }

  /** Adds a row by time. */
  protected add(row: Buffer): void {
    const text = row.toString(TEXT)
    if (this.#added.has(text)) return
    this.#added.add(text)
    this.#fresh.push(text)
  }

  #read(from: number, to: number, limit: number): readonly number[] {
    const range = { from: windowRow(from), to: to === Infinity ? LEAD : windowRow(to), limit }
    return this.range(range).map(([row]) => startOf(row))
  }
}

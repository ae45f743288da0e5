import type { Row, StorePartition } from '@millrace/core/driver'
import type { KeyEntry } from '../rows/key-entry.ts'
import { PROGRESS_KEY } from './close-progress.ts'
import type { DueWindow, RowsRange, StoredRow } from './close-queue.ts'
import { StartIndex } from './start-index.ts'
import { startOf } from './window-keys.ts'

/**
 * Where the windows of one partition are in its rows. Rows by time, a time and then the key, are in the order in which windows
 * end: they are closed and expired in it. The time is the start of the window; of a session it is the end.
 */
export interface WindowLayout<V> {
  /** The first time that has rows. */
  readonly first: number | undefined
  /** The first time at or after `time` that has rows. */
  from(time: number): number | undefined
  /** The times with rows from `from` (included) to `to` (excluded), ascending, or as many as there is a point in counting. */
  between(from: number, to: number): readonly number[]
  /** No rows are left before this time. */
  dropBefore(time: number): void
  /** An event has finished: until now the value of `entry` was `before`. Returns the time of a new row by time. */
  changed(entry: KeyEntry<V>, before: V | undefined): number | undefined
  /** Rows by time, stored or not. */
  range(options: RowsRange): readonly StoredRow[]
  /** Rows by time that are to be written before the rows of finished events. */
  takeRows(): readonly Row[]
  /** Returns how many were taken. */
  rowsStored(): number
  rowsReturned(): void
  /** The first time of what the store has not, or not as it is here. `entries`: those with such rows. */
  firstUnstored(entries: Iterable<KeyEntry<V>>): number
  /** What is due by a row; `undefined` when the row leads to nothing any more. */
  dueBy(row: Buffer, value: Buffer): DueWindow | undefined
  /** What is to be deleted with a row by time that has expired, as all rows before `before` have. */
  expiredWith(row: Buffer, expired: Expired): readonly Buffer[]
  /** Rows read by users, rather than by time. */
  isOwn(row: Buffer): boolean
}

/** What a commit deletes. */
export interface Expired {
  /** Everything before this time. */
  readonly before: number
  /** The store does not have the row as it is here, or an event is about to change it. */
  readonly isUnstored: (row: Buffer) => boolean
}

/** Windows that are known by their start, each a row. */
export class FixedLayout<V> implements WindowLayout<V> {
  readonly #store: Pick<StorePartition, 'range'>
  readonly #starts: StartIndex
  readonly #sizeMs: number

  constructor(store: Pick<StorePartition, 'range'>, sizeMs: number) {
    this.#store = store
    this.#starts = new StartIndex(store, PROGRESS_KEY)
    this.#sizeMs = sizeMs
  }

  get first(): number | undefined {
    return this.#starts.first
  }

  from(time: number): number | undefined {
    return this.#starts.from(time)
  }

  between(from: number, to: number): readonly number[] {
    return this.#starts.between(from, to)
  }

  dropBefore(time: number): void {
    this.#starts.dropBefore(time)
  }

  changed(entry: KeyEntry<V>, before: V | undefined): number | undefined {
    if (before !== undefined || entry.value === undefined) return undefined
    const start = startOf(entry.key)
    this.#starts.add(start)
    return start
  }

  range(options: RowsRange): readonly StoredRow[] {
    return this.#store.range(options)
  }

  takeRows(): readonly Row[] {
    return NO_ROWS
  }

  rowsStored(): number {
    return 0
  }

  rowsReturned(): void {}

  firstUnstored(entries: Iterable<KeyEntry<V>>): number {
    let first = Infinity
    for (const { key } of entries) first = Math.min(first, startOf(key))
    return first
  }

  dueBy(row: Buffer, value: Buffer): DueWindow {
    const start = startOf(row)
    return { start, end: start + this.#sizeMs, value }
  }

  expiredWith(row: Buffer): readonly Buffer[] {
    return [row]
  }

  isOwn(): boolean {
    return true
  }
}

const NO_ROWS: readonly Row[] = Object.freeze([])

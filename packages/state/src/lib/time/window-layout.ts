import type { Row, StorePartition } from '@millrace/core/driver'
import type { KeyEntry } from '../rows/key-entry.ts'
import { PROGRESS_KEY } from './close-progress.ts'
import type { DueWindow, RowsRange, StoredRow } from './close-queue.ts'
import { StartIndex } from './start-index.ts'
import { startOf } from './window-keys.ts'

/**
 * How the rows of one partition hold its windows. The keys of rows by time are a time and then the key, so they sort in the order
 * in which windows end, close and expire. The time is the start of the window, or the end of the session.
 */
export interface WindowLayout<V> {
  /** The first time that has rows. */
  readonly first: number | undefined
  /** The first time at or after `time` that has rows. */
  from(time: number): number | undefined
  /** The times with rows from `from` (included) to `to` (excluded), ascending; of windows that share rows at most a limited number. */
  between(from: number, to: number): readonly number[]
  /** The starts in the rows that users read, from `from` (included) to `to` (excluded), ascending. */
  starts(from: number, to: number): readonly number[]
  /** Called when no rows are left before this time. */
  dropBefore(time: number): void
  /** Called when an event has finished; `before` is the earlier value of `entry`. Returns the time of a new row by time. */
  changed(entry: KeyEntry<V>, before: V | undefined): number | undefined
  /** Rows by time, stored or not. */
  range(options: RowsRange): readonly StoredRow[]
  /** Rows by time that must be written before the rows of finished events. */
  takeRows(): readonly Row[]
  /** Returns how many were taken. */
  rowsStored(): number
  rowsReturned(): void
  /** The first time with a row that is not stored, or not with its current value. `entries`: those with such rows. */
  firstUnstored(entries: Iterable<KeyEntry<V>>): number
  /** The window that a row by time makes due; `undefined` if the row refers to none any more. */
  dueBy(row: Buffer, value: Buffer): DueWindow | undefined
  /** What to delete with an expired row by time; all rows before `before` have expired. */
  expiredWith(row: Buffer, expired: Expired): readonly Buffer[]
  /** Rows that users read, as opposed to rows by time. */
  isOwn(row: Buffer): boolean
}

/** The rows that a commit deletes. */
export interface Expired {
  /** Everything before this time. */
  readonly before: number
  /** Whether the store lacks the row's current value, or an event is about to change the row. */
  readonly isUnstored: (row: Buffer) => boolean
}

/** Windows that are identified by their start, with one row each. */
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

  starts(from: number, to: number): readonly number[] {
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

import type { RangeOptions } from '@millrace/core/driver'
import { SortedKeys } from '../memory/sorted-keys.ts'
import { AFTER_ENTRIES, type DueEntry, FIRST_ENTRY, keyOf } from './due-keys.ts'

/** The number of entries to keep in memory; when there are twice as many, the latest ones are dropped. */
const MOST_NEAR = 5000
const ENTRIES_PER_READ = 1000

/** All entries of the index: those in the store, with the changes that are not committed yet. */
export interface EntrySource {
  stored(options: RangeOptions): readonly DueEntry[]
  /** Whether an entry of the store still exists. */
  isDeleted(entry: DueEntry): boolean
  /** Entries from this one on that the store does not have yet. */
  unstored(from: DueEntry): Iterable<DueEntry>
}

/** The next entries of an index, in bounded memory. */
export class NearEntries {
  readonly #source: EntrySource
  #near = new SortedKeys([])
  #size = 0
  /** Entries before this one are in `#near`; `undefined` when there are no others. */
  #horizon: DueEntry | undefined = FIRST_ENTRY
  /** Entries that were given out; they are not given out again until they are put back. */
  readonly #out = new Set<DueEntry>()

  constructor(source: EntrySource) {
    this.#source = source
  }

  /** The earliest entry that is not given out. */
  get first(): DueEntry | undefined {
    while (this.#size === 0 && this.#horizon !== undefined) this.#read(this.#horizon)
    return this.#near.first
  }

  add(entry: DueEntry): void {
    if (this.#horizon !== undefined && entry >= this.#horizon) return
    if (this.#out.has(entry) || this.#near.has(entry)) return
    this.#near.add(entry)
    this.#size++
    if (this.#size > 2 * MOST_NEAR) this.#shrink()
  }

  delete(entry: DueEntry): void {
    if (!this.#near.has(entry)) return
    this.#near.delete(entry)
    this.#size--
  }

  /** Gives out the entry. */
  take(entry: DueEntry): void {
    this.delete(entry)
    this.#out.add(entry)
  }

  /** Ends the hand-out of the entry; `isThere`: it is still in the index. */
  giveBack(entry: DueEntry, isThere: boolean): void {
    this.#out.delete(entry)
    if (isThere) this.add(entry)
  }

  #shrink(): void {
    const kept = this.#near.range(undefined, undefined, MOST_NEAR + 1)
    this.#horizon = kept.pop()
    this.#near = new SortedKeys(kept)
    this.#size = kept.length
  }

  #read(from: DueEntry): void {
    const source = this.#source
    const stored = source.stored({ from: keyOf(from), to: keyOf(AFTER_ENTRIES), limit: ENTRIES_PER_READ })
    const last = stored.length < ENTRIES_PER_READ ? undefined : stored.at(-1)
    const end = last === undefined ? undefined : `${last}\0`
    const found = new Set<DueEntry>()
    for (const entry of stored) if (!source.isDeleted(entry)) found.add(entry)
    for (const entry of source.unstored(from)) if (end === undefined || entry < end) found.add(entry)
    for (const entry of this.#out) found.delete(entry)
    this.#near = new SortedKeys(found)
    this.#size = found.size
    this.#horizon = end
  }
}

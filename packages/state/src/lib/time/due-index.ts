import type { Row, StorePartition } from '@millrace/core/driver'
import { type DueEntry, keyOf } from './due-keys.ts'
import { type EntrySource, NearEntries } from './near-entries.ts'

/** Memory of a changed entry beside its text. */
const ENTRY_OVERHEAD = 120

export interface DueIndexOptions {
  readonly store: Pick<StorePartition, 'get' | 'range'>
  /** As `OpenStateOptions.countChanged`. */
  readonly countChanged: (bytes: number) => void
  /** Entries that the store has. */
  readonly stored: number
}

/**
 * A state's index by time. Its entries are rows in the state's own changelog and store. Each row of the state that will be due
 * has an entry at its due time or earlier. If the due time moves back, the entry stays, and moves only when it is reached. A
 * row whose time moves with every event therefore costs one entry per span, not one per event.
 */
export class DueIndex implements EntrySource {
  readonly near: NearEntries
  readonly #store: Pick<StorePartition, 'get' | 'range'>
  readonly #countChanged: (bytes: number) => void
  /** Changed since the last commit: true for new entries, false for deleted ones. */
  #changed = new Map<DueEntry, boolean>()
  /** Rows of the commit under way that change the store. */
  #taken = new Map<DueEntry, boolean>()
  /**
   * Written by commits that failed: the changelog may have these rows although the store does not, so they are written
   * until a commit is made, whatever the store has.
   */
  #unsure = new Set<DueEntry>()
  /** Rows of the commit under way that the store has already. */
  #again = new Map<DueEntry, boolean>()
  #stored: number
  #bytes = 0
  #takenBytes = 0

  constructor({ store, countChanged, stored }: DueIndexOptions) {
    this.#store = store
    this.#countChanged = countChanged
    this.#stored = stored
    this.near = new NearEntries(this)
  }

  /** Entries that the store will have after the commit under way. */
  get storedEntries(): number {
    let entries = this.#stored
    for (const isNew of this.#taken.values()) entries += isNew ? 1 : -1
    return entries
  }

  get dirtyBytes(): number {
    return this.#bytes
  }

  put(entry: DueEntry): void {
    this.#change(entry, true)
    this.near.add(entry)
  }

  /** Does nothing when there is no such entry. */
  delete(entry: DueEntry): void {
    this.#change(entry, false)
    this.near.delete(entry)
  }

  /** Changed entries. New ones must be written before the rows of the state, and deleted ones after them. */
  takeRows(): { readonly added: readonly Row[]; readonly deleted: readonly Row[] } {
    const added: Row[] = []
    const deleted: Row[] = []
    for (const [entry, isNew] of this.#changed) {
      const key = keyOf(entry)
      const isStored = (this.#store.get(key) !== undefined) === isNew
      if (isStored && !this.#unsure.has(entry)) continue
      const written = isStored ? this.#again : this.#taken
      written.set(entry, isNew)
      if (isNew) added.push({ key, value: ENTRY_VALUE })
      else deleted.push({ key, value: null })
    }
    this.#changed = new Map()
    this.#takenBytes = this.#bytes
    this.#bytes = 0
    return { added, deleted }
  }

  rowsStored(): void {
    this.#stored = this.storedEntries
    // Each of them was in this commit.
    this.#unsure = new Set()
    this.#endCommit()
  }

  rowsReturned(): void {
    const written = [...this.#taken, ...this.#again]
    this.#endCommit()
    for (const [entry, isNew] of written) {
      this.#unsure.add(entry)
      if (!this.#changed.has(entry)) this.#change(entry, isNew)
    }
  }

  close(): void {
    this.#changed.clear()
    this.#taken.clear()
    this.#again.clear()
    this.#countChanged(-this.#bytes - this.#takenBytes)
    this.#bytes = this.#takenBytes = 0
  }

  stored(options: Parameters<StorePartition['range']>[0]): readonly DueEntry[] {
    return this.#store.range(options).map(([key]) => key.toString('latin1'))
  }

  isDeleted(entry: DueEntry): boolean {
    return (this.#changed.get(entry) ?? this.#taken.get(entry)) === false
  }

  *unstored(from: DueEntry): Generator<DueEntry> {
    for (const [entry, isNew] of this.#changed) if (isNew && entry >= from) yield entry
    for (const [entry, isNew] of this.#taken) if (isNew && entry >= from && !this.#changed.has(entry)) yield entry
  }

  #change(entry: DueEntry, isNew: boolean): void {
    if (!this.#changed.has(entry)) {
      const bytes = entry.length + ENTRY_OVERHEAD
      this.#bytes += bytes
      this.#countChanged(bytes)
    }
    this.#changed.set(entry, isNew)
  }

  #endCommit(): void {
    this.#taken = new Map()
    this.#again = new Map()
    this.#countChanged(-this.#takenBytes)
    this.#takenBytes = 0
  }
}

/** What the row of an entry holds; the entry is its key. */
const ENTRY_VALUE = Buffer.from([1])

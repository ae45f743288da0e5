import type { Row } from '@millrace/core/driver'
import type { CurrentEvent, OpenState, OpenStateOptions, StateDefinition, TaskRef } from '@millrace/worker'
import type { KeyEntry } from './key-entry.ts'
import { KeyedRows } from './keyed-rows.ts'
import type { RowShape } from './row-shape.ts'

/** The changelog topic of a state: compacted, since only the last row of a key counts. */
export function changelogOf(appId: string, name: string): StateDefinition['changelog'] {
  return { topic: `${appId}-${name}-changelog`, config: { 'cleanup.policy': 'compact' } }
}

/** What rows need of the options with which a state is opened. */
export type KeyedPartitionOptions = Omit<OpenStateOptions, 'clock' | 'touch' | 'commitSoon'>

const NO_ROWS: readonly Row[] = Object.freeze([])

/** Assumed size of a value that has not been encoded yet, until a commit has shown a better one. */
const FIRST_GUESS = 32

/**
 * The rows of one state in one task: of a table or a set, later of a window or a join. Changes by finished events gather
 * here until a commit takes them for the changelog and the store.
 */
export class KeyedPartition<V> extends KeyedRows<V> implements OpenState {
  readonly #task: TaskRef
  readonly #countChanged: (bytes: number) => void
  #dirty: KeyEntry<V>[] = []
  #taken: KeyEntry<V>[] = []
  #dirtyBytes = 0
  #takenBytes = 0
  /** What has been passed to `countChanged`. */
  #counted = 0
  #rows: number
  #guess = FIRST_GUESS

  constructor(shape: RowShape<V>, context: KeyedPartitionOptions) {
    const { store, cacheBytes, countChanged, maxRowBytes, freeze, task } = context
    super({ shape, store, cacheBytes, maxRowBytes, freeze, partition: task.partition })
    this.#task = task
    this.#countChanged = countChanged
    this.#rows = store.rows
  }

  get dirtyBytes(): number {
    return this.#dirtyBytes
  }

  override get rows(): number {
    return this.#rows
  }

  override get cachedBytes(): number {
    return super.cachedBytes + this.#dirtyBytes + this.#takenBytes
  }

  override isOwnedBy(event: CurrentEvent): boolean {
    return event.task.id === this.#task.id
  }

  override changed(entry: KeyEntry<V>, before: V | undefined): void {
    if (this.closed) return
    if (before === undefined) {
      if (entry.value !== undefined) this.#rows++
    } else if (entry.value === undefined) this.#rows--
    if (entry.dirty) this.#dirtyBytes -= entry.size
    else {
      if (entry.taken) this.#takenBytes -= entry.size
      else this.countDirty(entry)
      entry.dirty = true
      this.#dirty.push(entry)
    }
    entry.size = this.sizeWith(entry.key, entry.bytes?.length ?? this.#guess)
    this.#dirtyBytes += entry.size
    this.#count()
  }

  /** Takes a row as if an event had written it; it goes to the changelog with the next commit. For test kits. */
  put({ key, value }: { readonly key: Buffer; readonly value: Buffer }): void {
    this.assertOpen()
    const entry = this.entryOf(key)
    entry.replace(this.guard(this.decode(value, key)), value)
  }

  takeRows(): readonly Row[] {
    // All are encoded before any entry changes: if one throws here, everything is still there to be taken again.
    const rows = this.#dirty.map((entry) => this.#encode(entry))
    let bytes = 0
    let valueBytes = 0
    for (const entry of this.#dirty) {
      const length = entry.bytes?.length ?? 0
      entry.dirty = false
      entry.taken = true
      entry.mayBeStored = true
      entry.size = this.sizeWith(entry.key, length)
      bytes += entry.size
      valueBytes += length
    }
    if (rows.length > 0) this.#guess = Math.ceil(valueBytes / rows.length)
    this.#taken = this.#dirty
    this.#dirty = []
    this.#dirtyBytes = 0
    this.#takenBytes = bytes
    this.#count()
    return rows
  }

  rowsStored(rows: readonly Row[] = NO_ROWS): void {
    const taken = this.#taken
    this.#taken = []
    this.#takenBytes = 0
    for (const entry of taken) {
      entry.taken = false
      if (!entry.dirty) this.countClean(entry)
    }
    this.trim(2 * taken.length)
    this.#count()
    this.stored(rows)
  }

  rowsReturned(): void {
    const taken = this.#taken
    this.#taken = []
    this.#takenBytes = 0
    for (const entry of taken) {
      entry.taken = false
      if (entry.dirty) continue
      entry.dirty = true
      this.#dirty.push(entry)
      this.#dirtyBytes += entry.size
    }
    this.#count()
  }

  override close(): void {
    super.close()
    this.#dirty = []
    this.#taken = []
    this.#dirtyBytes = 0
    this.#takenBytes = 0
    this.#count()
  }

  /** Forgets changed rows of which no event, and no commit so far, has any part. Neither store nor changelog gets them. */
  protected forgetUnwritten(isOver: (entry: KeyEntry<V>) => boolean): void {
    const left: KeyEntry<V>[] = []
    for (const entry of this.#dirty) {
      if (entry.mayBeStored || entry.holder !== undefined || !isOver(entry)) {
        left.push(entry)
        continue
      }
      if (entry.value !== undefined) this.#rows--
      this.#dirtyBytes -= entry.size
      entry.dirty = false
      this.countClean(entry)
      this.evict(entry)
    }
    this.#dirty = left
    this.#count()
  }

  /** Whether the store lacks the row's current value, or an event is about to change the row. */
  protected isUnstored(row: Buffer): boolean {
    const entry = this.entries.get(this.shape.identify(row))
    return entry !== undefined && (entry.dirty || entry.taken || entry.holder !== undefined)
  }

  /** These rows were deleted by a commit, without an event. */
  protected removed(rows: number): void {
    this.#rows -= rows
  }

  #count(): void {
    const bytes = this.#dirtyBytes + this.#takenBytes
    const more = bytes - this.#counted
    if (more === 0) return
    this.#counted = bytes
    this.#countChanged(more)
  }

  #encode(entry: KeyEntry<V>): Row {
    if (entry.value === undefined) return { key: entry.key, value: null }
    if (entry.bytes === undefined) {
      try {
        entry.bytes = this.shape.encode(entry.value)
      } catch (thrown) {
        throw entry.refusal(thrown)
      }
    }
    return { key: entry.key, value: entry.bytes }
  }
}

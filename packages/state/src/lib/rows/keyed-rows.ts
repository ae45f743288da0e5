import { MillraceError } from '@millrace/core'
import type { Row, StorePartition } from '@millrace/core/driver'
import type { CurrentEvent, Readable } from '@millrace/worker'
import type { CommitWatch } from './commit-watch.ts'
import { deepFreeze } from './deep-freeze.ts'
import { KeyEntry, type EntryOwner } from './key-entry.ts'
import { GroupRead, RowGroup, type RowGroupRange, RowRange } from './row-range.ts'
import type { RowShape } from './row-shape.ts'
import { type RowSpan, type ScannedRows, scanRows } from './scan-rows.ts'

/** Memory of a map entry, its object and its key buffer, without the bytes of key and value. */
const ENTRY_OVERHEAD = 220
/** Entries that eviction examines for each miss while the cache is full: bounds the cost of one miss. */
const STEPS_PER_MISS = 64

export interface KeyedRowsOptions<V> {
  readonly shape: RowShape<V>
  readonly store: StorePartition
  readonly partition: number
  readonly cacheBytes: number
  readonly maxRowBytes: number
  readonly freeze: boolean
}

/**
 * The rows of one partition: decoded entries above a store of bytes. Entries that are clean and that no event holds are
 * dropped when they exceed `cacheBytes`, roughly least recently used first (the clock algorithm: a hit only sets a flag).
 */
export abstract class KeyedRows<V> implements EntryOwner<V>, Readable {
  readonly shape: RowShape<V>
  readonly partition: number
  readonly maxRowBytes: number
  readonly whole: RowRange
  version = 0
  protected readonly entries: Map<string, KeyEntry<V>> = new Map<string, KeyEntry<V>>()
  protected readonly store: StorePartition
  readonly #cacheBytes: number
  readonly #freeze: boolean
  readonly #groups = new Map<string, RowGroup<KeyEntry<V>>>()
  /** The highest version of what has left the cache. */
  #evictedVersion = 0
  #hand: Iterator<KeyEntry<V>> = this.entries.values()
  #cleanBytes = 0
  #closed = false
  #watch: CommitWatch | undefined

  constructor(options: KeyedRowsOptions<V>) {
    this.shape = options.shape
    this.partition = options.partition
    this.maxRowBytes = options.maxRowBytes
    this.store = options.store
    this.#cacheBytes = options.cacheBytes
    this.#freeze = options.freeze
    this.whole = new RowRange(`partition ${options.partition} of ${options.shape.where}`)
  }

  get where(): string {
    return this.shape.where
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Keys that have a value, by finished events. */
  abstract get rows(): number

  /** Rough size of everything cached. */
  get cachedBytes(): number {
    return this.#cleanBytes
  }

  abstract isOwnedBy(event: CurrentEvent): boolean

  abstract changed(entry: KeyEntry<V>, before: V | undefined): void

  /** Keys that the store lacks, or has with another value than is seen here. */
  *unstoredKeys(): Generator<Buffer> {
    for (const { key } of this.unstoredEntries()) yield key
  }

  /** A cached entry. */
  find(identity: string): KeyEntry<V> | undefined {
    const entry = this.entries.get(identity)
    if (entry !== undefined) entry.touched = true
    return entry
  }

  /** Brings a key into the cache that `find` did not find there, even if it has no value. */
  load(identity: string, key: Buffer): KeyEntry<V> {
    const bytes = this.store.get(key)
    const value = bytes === undefined ? undefined : this.decode(bytes, key)
    if (this.#cleanBytes > this.#cacheBytes) this.trim(STEPS_PER_MISS)
    const size = this.sizeWith(key, bytes?.length ?? 0)
    const entry = new KeyEntry(this, { identity, key, value, size, version: this.#evictedVersion })
    this.entries.set(identity, entry)
    this.#cleanBytes += entry.size
    if (this.shape.groupOf !== undefined) {
      entry.group = this.#group(this.shape.groupOf(key), key)
      entry.group.entries.add(entry)
    }
    return entry
  }

  /** The entry of an encoded key. */
  entryOf(key: Buffer): KeyEntry<V> {
    const identity = this.shape.identify(key)
    return this.find(identity) ?? this.load(identity, key)
  }

  /** As of the last commit, bypassing the cache. */
  committed(key: Buffer): V | undefined {
    return this.#decodeOwn(key, this.store.get(key))
  }

  /** Where the last commit ends, as text: the same text means the same committed rows. */
  get committedTo(): string {
    const { topicId, offset } = this.store.checkpoint() ?? { topicId: '', offset: 0 }
    return `${topicId}/${this.partition}@${offset}`
  }

  /** Calls `watch` after each commit from now on, in place of the one before; `undefined` ends it. */
  watchCommits(watch: CommitWatch | undefined): void {
    this.#watch = watch
  }

  /** Rows in byte order of the keys, in chunks. Rows may change between two chunks; each key still comes once. */
  scan(event: CurrentEvent | undefined, span: RowSpan = {}): Generator<readonly (readonly [key: Buffer, value: V])[]> {
    if (event !== undefined && this.isOwnedBy(event)) this.#readAll(event)
    return scanRows(this, this.store, { event, span })
  }

  /** As `scan`, as of the last commit. */
  scanCommitted(span: RowSpan = {}): Generator<readonly (readonly [key: Buffer, value: V])[]> {
    const rows: ScannedRows<V> = {
      assertOpen: () => this.assertOpen(),
      unstoredKeys: () => [],
      peek: (key, stored) => this.#decodeOwn(key, stored),
    }
    return scanRows(rows, this.store, { event: undefined, span })
  }

  /** Keys of a group that have a value for `event`, in byte order. Conflicts with other events as a read of each key would. */
  group({ name, from, to }: RowGroupRange, event: CurrentEvent | undefined): readonly Buffer[] {
    if (event !== undefined && this.isOwnedBy(event)) {
      event.noteRead(new GroupRead(this, name), this.version)
      if (event.holdsReads) this.#group(name, from).claim(event)
    }
    const cached = this.#groups.get(name)?.entries
    const stored = this.store.range(to === undefined ? { from } : { from, to })
    if (cached === undefined) return stored.map(([key]) => key)
    const keys = stored.filter(([key]) => !this.entries.has(this.shape.identify(key))).map(([key]) => key)
    for (const entry of cached) if (entry.view(event) !== undefined) keys.push(entry.key)
    return keys.sort(Buffer.compare)
  }

  /** The value that `event` sees for a row found in a scan, without bringing it into the cache. */
  peek(key: Buffer, stored: Buffer | undefined, event: CurrentEvent | undefined): V | undefined {
    if (!this.isOwn(key)) return undefined
    const entry = this.entries.get(this.shape.identify(key))
    if (entry !== undefined) return entry.peek(event)
    const bytes = stored ?? this.store.get(key)
    return bytes === undefined ? undefined : this.decode(bytes, key)
  }

  changedSince(version: number): boolean {
    return this.version > version
  }

  changedAt(identity: string): number {
    return this.entries.get(identity)?.version ?? this.#evictedVersion
  }

  groupChangedAt(name: string): number {
    return this.#groups.get(name)?.version ?? this.#evictedVersion
  }

  groupUnused({ name }: RowGroup<KeyEntry<V>>): void {
    this.#groups.delete(name)
  }

  showKey(key: Buffer): string {
    return this.shape.show(key)
  }

  show(): string {
    return this.whole.show()
  }

  guard<T>(value: T): T {
    return this.#freeze ? deepFreeze(value) : value
  }

  /** Throws `PARTITION_NOT_LOCAL` once it is closed. */
  assertOpen(): void {
    if (!this.#closed) return
    throw new MillraceError(
      'PARTITION_NOT_LOCAL',
      `Partition ${this.partition} of ${this.shape.where} has left this worker.`,
    )
  }

  close(): void {
    this.#closed = true
    for (const entry of this.entries.values()) entry.evicted = true
    this.entries.clear()
    this.#groups.clear()
    this.#cleanBytes = 0
    this.#watch?.closed()
  }

  /** Whether a stored row is one of the state's, rather than one that its bookkeeping needs. */
  protected isOwn(_key: Buffer): boolean {
    return true
  }

  /** A commit has brought these rows into the store. */
  protected stored(rows: readonly Pick<Row, 'key'>[]): void {
    if (this.#watch !== undefined && rows.length > 0) this.#watch.stored(rows)
  }

  protected *unstoredEntries(): Generator<KeyEntry<V>> {
    for (const entry of this.entries.values()) if (entry.dirty || entry.taken || entry.holder !== undefined) yield entry
  }

  /** `entry` no longer counts as clean. */
  protected countDirty(entry: KeyEntry<V>): void {
    this.#cleanBytes -= entry.size
  }

  /** `entry` counts as clean again, with the size that it has now: the store has its value. */
  protected countClean(entry: KeyEntry<V>): void {
    entry.bytes = undefined
    this.#cleanBytes += entry.size
  }

  /** Size of an entry with an encoded value of this many bytes. */
  protected sizeWith(key: Buffer, valueBytes: number): number {
    return key.length + valueBytes + ENTRY_OVERHEAD
  }

  protected decode(bytes: Buffer, key: Buffer): V {
    return this.guard(this.shape.decode(bytes, key))
  }

  /** Forgets clean entries until the cache is small enough, examining at most `steps`. */
  protected trim(steps: number): void {
    for (let i = 0; i < steps && this.#cleanBytes > this.#cacheBytes; i++) {
      let next = this.#hand.next()
      if (next.done === true) {
        this.#hand = this.entries.values()
        next = this.#hand.next()
        if (next.done === true) return
      }
      const entry = next.value
      if (entry.dirty || entry.taken || entry.holder !== undefined) continue
      if (entry.touched) entry.touched = false
      else this.evict(entry)
    }
  }

  /** A stored row is deleted without an event: what is cached of it is forgotten. */
  protected forget(key: Buffer): void {
    const entry = this.entries.get(this.shape.identify(key))
    if (entry !== undefined) this.evict(entry)
  }

  /** Forgets a clean entry that no event holds. */
  protected evict(entry: KeyEntry<V>): void {
    entry.evicted = true
    this.entries.delete(entry.identity)
    this.#cleanBytes -= entry.size
    if (entry.version > this.#evictedVersion) this.#evictedVersion = entry.version
    entry.group?.remove(entry)
  }

  #decodeOwn(key: Buffer, stored: Buffer | undefined): V | undefined {
    return stored === undefined || !this.isOwn(key) ? undefined : this.decode(stored, key)
  }

  #readAll(event: CurrentEvent): void {
    event.noteRead(this, this.version)
    if (!event.holdsReads) return
    for (const entry of this.entries.values()) if (entry.holder !== undefined) entry.view(event)
    this.whole.claim(event)
  }

  /** `key`: that of one of its rows, or their prefix. */
  #group(name: string, key: Buffer): RowGroup<KeyEntry<V>> {
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const shown = `key ${this.showKey(key)} of ${this.where}`
    const group = new RowGroup<KeyEntry<V>>(this, { name, shown, version: this.#evictedVersion })
    this.#groups.set(name, group)
    return group
  }
}

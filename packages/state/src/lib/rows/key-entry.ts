import { isMillraceError, MillraceError, toError } from '@millrace/core'
import type { CurrentEvent, Effect, Readable } from '@millrace/worker'
import { assertFree, type RowGroup, type RowRange } from './row-range.ts'

/** The part of the rows that an entry uses. */
export interface EntryOwner<V> {
  readonly partition: number
  /** Largest row, key and value. */
  readonly maxRowBytes: number
  /** For messages: `table "counts"`. */
  readonly where: string
  /** Grows with each change by a finished event. */
  version: number
  /** All of the partition as a range. */
  readonly whole: RowRange
  /** The version at which a key that has left the cache was last changed, or a later one. */
  changedAt(identity: string): number
  /** Whether the events of `event`'s task are the only ones that change these rows. */
  isOwnedBy(event: CurrentEvent): boolean
  /** An event has finished: until now the value of `entry` was `before`. */
  changed(entry: KeyEntry<V>, before: V | undefined): void
  /** Freezes a value given out or taken in, where that is asked for. */
  guard<T>(value: T): T
  /** A key for messages. */
  showKey(key: Buffer): string
}

/** What an entry is made with. */
export interface EntryFields<V> {
  readonly identity: string
  readonly key: Buffer
  readonly value: V | undefined
  readonly size: number
  readonly version: number
}

/**
 * One key in the cache: its finished value and, while an event that has written it is in flight, that event's value. The
 * entry is itself the effect that the event holds, so that only the first write of a key allocates anything.
 */
export class KeyEntry<V> implements Effect, Readable {
  readonly identity: string
  readonly key: Buffer
  /** As of the last finished event that wrote it; `undefined` when the key is absent. */
  value: V | undefined
  /** `value` encoded, if that has been done and the value is not stored yet. */
  bytes: Buffer | undefined = undefined
  /** The event that has unfinished changes to the key, or holds what it has read. */
  holder: CurrentEvent | undefined = undefined
  /** Changed since the last commit took it. */
  dirty = false
  /** Part of the commit under way. */
  taken = false
  /** The store had the row when it was loaded, or a commit has taken it: the store or the changelog may have it. */
  mayBeStored: boolean
  /** Used since eviction last passed by. */
  touched = true
  /** No longer in the cache: whoever still has it must look the key up again before writing. */
  evicted = false
  /** Bytes, roughly, for the bounds of the cache. */
  size: number
  /** The owner's version when an event last changed it, or a later one. */
  version: number
  /** The rows that are read together with it, where rows are read in groups. */
  group: RowGroup<KeyEntry<V>> | undefined = undefined
  readonly rows: EntryOwner<V>
  /** The holder has written it, not only read. */
  #written = false
  #pending: V | undefined = undefined
  #pendingBytes: Buffer | undefined = undefined

  constructor(rows: EntryOwner<V>, { identity, key, value, size, version }: EntryFields<V>) {
    this.rows = rows
    this.identity = identity
    this.key = key
    this.value = value
    this.size = size
    this.version = version
    this.mayBeStored = value !== undefined
  }

  /** The value that `event` sees. If it changes before the event finishes with an effect, the event is handled again. */
  read(event: CurrentEvent | undefined): V | undefined {
    if (event === undefined) return this.value
    if (this.#isOf(event)) return this.#pending
    if (this.holder?.task === event.task) assertFree(this, event)
    if (this.rows.isOwnedBy(event)) {
      event.noteRead(this, this.rows.version)
      if (event.holdsReads) this.claim(event)
    }
    return this.value
  }

  /**
   * As `read`, but the value may change afterwards: for an event that claims the key, or the group of the key, in the same
   * turn of the event loop.
   */
  view(event: CurrentEvent | undefined): V | undefined {
    const { holder } = this
    if (holder === undefined || event === undefined) return this.value
    if (this.#isOf(event)) return this.#pending
    if (holder.task === event.task) assertFree(this, event)
    return this.value
  }

  /** As `read`, but ignores the unfinished changes of other events: for reading many keys at once. */
  peek(event: CurrentEvent | undefined): V | undefined {
    return this.#isOf(event) ? this.#pending : this.value
  }

  /** Keeps other events from the key until `event` is over. */
  claim(event: CurrentEvent): void {
    if (this.holder !== undefined) {
      if (this.#isOf(event)) return
      assertFree(this, event)
    }
    if (this.group !== undefined) assertFree(this.group, event)
    if (this.rows.whole.holder !== undefined) assertFree(this.rows.whole, event)
    event.hold(this)
    this.holder = event
    this.#pending = this.value
    this.#pendingBytes = this.bytes
  }

  /** `bytes`: the encoded value, if `RowShape.admit` gave it. */
  write(event: CurrentEvent, value: V | undefined, bytes: Buffer | undefined): void {
    if (bytes !== undefined && this.key.length + bytes.length > this.rows.maxRowBytes)
      throw this.#tooLarge(bytes.length)
    this.claim(event)
    this.#written = true
    this.#pending = value
    this.#pendingBytes = bytes
  }

  changedSince(version: number): boolean {
    return (this.evicted ? this.rows.changedAt(this.identity) : this.version) > version
  }

  /** Why the key's value is refused, naming the key. */
  refusal(thrown: unknown): MillraceError {
    const error = toError(thrown)
    const [code, detail] = isMillraceError(error)
      ? [error.code, error.detail]
      : (['ENCODE_FAILED', error.message] as const)
    return new MillraceError(code, `Key ${this.rows.showKey(this.key)} of ${this.rows.where}: ${detail}`, {
      cause: error,
    })
  }

  get changes(): string | undefined {
    return this.#written ? this.rows.where : undefined
  }

  /** For messages. */
  show(): string {
    return `key ${this.rows.showKey(this.key)} of ${this.rows.where}`
  }

  apply(): void {
    if (!this.#written) return this.#free()
    const value = this.#pending
    const bytes = this.#pendingBytes
    this.#free()
    this.replace(value, bytes)
  }

  /** Sets the value, and its bytes if they are known, as a finished event does. */
  replace(value: V | undefined, bytes: Buffer | undefined): void {
    const before = this.value
    this.value = value
    this.bytes = bytes
    this.version = ++this.rows.version
    if (this.group !== undefined) this.group.version = this.version
    this.rows.changed(this, before)
  }

  drop(event: CurrentEvent): void {
    if (this.holder === event) this.#free()
  }

  #free(): void {
    this.holder = undefined
    this.#written = false
    this.#pending = undefined
    this.#pendingBytes = undefined
  }

  #tooLarge(bytes: number): MillraceError {
    const { rows, key } = this
    return new MillraceError(
      'ROW_TOO_LARGE',
      `The value of key ${rows.showKey(key)} of ${rows.where} has ${bytes} bytes; with its key it may have ${rows.maxRowBytes} (maxRecordBytes).`,
    )
  }

  /** Whether `event`, or another of its batch, holds the key. */
  #isOf(event: CurrentEvent | undefined): boolean {
    const { holder } = this
    return holder !== undefined && event !== undefined && (holder === event || holder.batchLeader === event.batchLeader)
  }
}

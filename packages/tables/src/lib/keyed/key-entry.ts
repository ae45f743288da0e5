import { type Effect, type EventScope, MillraceError } from '@millrace/core'

/** What an entry needs of the rows that it is one of. */
export interface EntryOwner<V> {
  readonly partition: number
  /** Largest row, key and value. */
  readonly maxRowBytes: number
  /** For messages: `table "counts"`. */
  readonly where: string
  /** An event finished: the value of `entry` was `before` until now. */
  changed(entry: KeyEntry<V>, before: V | undefined): void
  /** Freezes a value given out or taken in, where that is asked for. */
  guard<T>(value: T): T
  /** A key for messages. */
  show(key: Buffer): string
}

/**
 * One key in the cache: its finished value and, while an event that wrote it is in hand, that event's value. The entry is
 * itself the effect that the event holds, so a write allocates nothing after a key's first.
 */
export class KeyEntry<V> implements Effect {
  readonly identity: string
  readonly key: Buffer
  /** As of the last finished event that wrote it; `undefined` when the key is absent. */
  value: V | undefined
  /** `value` encoded, while it is not stored and was encoded already. */
  bytes: Buffer | undefined = undefined
  /** The event that has unfinished changes to the key. */
  holder: EventScope | undefined = undefined
  /** Changed since the last cut took it. */
  dirty = false
  /** With a cut under way. */
  taken = false
  /** Used since the eviction hand passed by. */
  touched = true
  /** No longer in the cache: whoever still has it must find it again before writing. */
  evicted = false
  /** Bytes, roughly, for the bounds of the cache. */
  size: number
  readonly rows: EntryOwner<V>
  #pending: V | undefined = undefined
  #pendingBytes: Buffer | undefined = undefined

  constructor(rows: EntryOwner<V>, identity: string, key: Buffer, value: V | undefined, size: number) {
    this.rows = rows
    this.identity = identity
    this.key = key
    this.value = value
    this.size = size
  }

  /** The value that `event` sees. Sets it aside when another event of its task has unfinished changes here. */
  read(event: EventScope | undefined): V | undefined {
    const holder = this.holder
    if (holder === undefined) return this.value
    if (this.#isOf(event)) return this.#pending
    if (event !== undefined && holder.open && holder.task === event.task)
      event.setAside(holder, this.rows.show(this.key))
    return this.value
  }

  /** As `read`, but passes over what other events have in hand: for reading many keys at once. */
  peek(event: EventScope | undefined): V | undefined {
    return this.#isOf(event) ? this.#pending : this.value
  }

  /** `bytes`: the value encoded, if `RowShape.admit` gave them. */
  write(event: EventScope, value: V | undefined, bytes: Buffer | undefined): void {
    if (bytes !== undefined && this.key.length + bytes.length > this.rows.maxRowBytes)
      throw this.#tooLarge(bytes.length)
    if (!this.#isOf(event)) {
      if (this.holder !== undefined && this.holder.open) event.setAside(this.holder, this.rows.show(this.key))
      event.hold(this)
      this.holder = event
    }
    this.#pending = value
    this.#pendingBytes = bytes
  }

  apply(): void {
    const before = this.value
    this.value = this.#pending
    this.bytes = this.#pendingBytes
    this.drop()
    this.rows.changed(this, before)
  }

  drop(): void {
    this.holder = undefined
    this.#pending = undefined
    this.#pendingBytes = undefined
  }

  #tooLarge(bytes: number): MillraceError {
    const { rows, key } = this
    return new MillraceError(
      'ROW_TOO_LARGE',
      `The value of key ${rows.show(key)} of ${rows.where} has ${bytes} bytes; with its key it may have ${rows.maxRowBytes} (maxRecordBytes).`,
    )
  }

  /** Whether `event`, or another of its batch, has the unfinished changes. */
  #isOf(event: EventScope | undefined): boolean {
    const { holder } = this
    return holder !== undefined && event !== undefined && (holder === event || holder.fate === event.fate)
  }
}

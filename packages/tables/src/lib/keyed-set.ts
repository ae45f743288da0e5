import { type KeyedRows, readingEvent, writingEvent, type RowLocator, type StateContext } from '@millrace/state'
import type { ReadOptions } from './keyed-map.ts'
import { KeyedTable, type EncodedRow } from './keyed-table.ts'
import type { KeyedDefinition } from './options.ts'
import { groupRange, keyBytes, PRESENT, type SetMember, type SetShape } from './set-shape.ts'
import { watchKey, type WatchOptions } from './watch/watch-key.ts'

/** A set of elements for each key, one row per element: what set tables and global set tables have in common. */
export abstract class KeyedSet<K, E> extends KeyedTable<K, SetMember<K, E>, true> {
  protected abstract override readonly rows: RowLocator<SetMember<K, E>, true>
  readonly #members: SetShape<K, E>['keys']

  constructor(context: StateContext, shape: SetShape<K, E>, definition: KeyedDefinition<K, E>) {
    super(context, shape.keys.keys, definition)
    this.#members = shape.keys
  }

  /**
   * Adds an element, as an effect of the current event; returns whether it is new. Throws as `Table.set` does.
   *
   * @example
   * visitors.add(page, userId)
   */
  add(key: K, element: E): boolean {
    const event = writingEvent(this.storage, this.#members.where)
    this.uses.addWrite(event.agent)
    const entry = this.rows.writing({ key, element }, event)
    if (entry.view(event) === true) return entry.read(event) !== true
    this.rows.write(entry, event, true)
    return true
  }

  /**
   * Deletes an element, as an effect of the current event; returns whether it was there. Throws as `Table.set` does.
   *
   * @example
   * if (visitors.has(page, userId)) visitors.delete(page, userId)
   */
  delete(key: K, element: E): boolean {
    const event = writingEvent(this.storage, this.#members.where)
    this.uses.addWrite(event.agent)
    const entry = this.rows.writing({ key, element }, event)
    if (entry.view(event) === undefined) return entry.read(event) !== undefined
    this.rows.write(entry, event, undefined)
    return true
  }

  /** Whether the set of a key has an element. Throws as `Table.get` does. */
  has(key: K, element: E): boolean {
    this.uses.reads++
    const event = readingEvent(this.storage)
    const member = { key, element }
    const entry = event === undefined ? this.rows.outside(member) : this.rows.reading(member, event)
    return entry.read(event) === true
  }

  /** The elements of a key, in byte order of their encoding; none for a key that has no set. Throws as `Table.get` does. */
  values(key: K, { committed }: ReadOptions = {}): readonly E[] {
    this.uses.reads++
    const event = readingEvent(this.storage)
    const rows = this.rows.rowsOf({ key }, event)
    if (committed === true) return this.#committed(key, rows)
    return rows
      .group(groupRange(this.#members.encode({ key })), event)
      .map((row) => rows.guard(this.#members.decode(row).element))
  }

  /** The committed elements of a key, now and after each commit that changes them. As `Table.watch`. */
  watch(key: K, { signal }: WatchOptions = {}): AsyncGenerator<readonly E[]> {
    const rows = this.rows.rowsOf({ key }, undefined)
    const bytes = this.keyShape.encode(key)
    return watchKey({ watchers: this.watchers, rows, key: bytes, read: () => this.#committed(key, rows), signal })
  }

  /** Key and element of every row in the partitions that are here, as `Table.entries`. */
  entries(): AsyncIterableIterator<readonly [key: K, element: E]> {
    const members = this.#members
    return this.scan((row) => {
      const { key, element } = members.decode(row)
      return [key, element] as const
    })
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<readonly [key: K, element: E]> {
    return this.entries()
  }

  /** The elements of a key typed as text, for pages and commands. Throws as `values` does, and `KEY_INVALID`. */
  lookup(text: string, options?: ReadOptions): readonly E[] {
    return this.values(this.keyOf(text), options)
  }

  /** As `watch`, of a key typed as text. */
  watchText(text: string, options?: WatchOptions): AsyncGenerator<readonly E[]> {
    return this.watch(this.keyOf(text), options)
  }

  /** A row as bytes, as `Table.encodeRow`. */
  encodeRow(key: K, element: E): EncodedRow {
    const member = { key, element }
    const bytes = this.#members.encode(member)
    return { key: bytes, value: PRESENT, partitionedBy: this.#members.partitionedBy(member, bytes) }
  }

  protected override keyIn(row: Buffer): Buffer {
    return keyBytes(row)
  }

  #committed(key: K, rows: KeyedRows<true>): readonly E[] {
    const { from, to } = groupRange(this.#members.encode({ key }))
    return [...rows.scanCommitted({ from, to })].flat().map(([row]) => rows.guard(this.#members.decode(row).element))
  }
}

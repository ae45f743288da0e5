import type { ScopeStorage } from '@millrace/core'
import { readingEvent, writingEvent } from '../places/current-event.ts'
import type { Place } from '../places/place.ts'
import type { EncodedRow } from '../tables/keyed-map.ts'
import { readInTurns } from '../tables/read-in-turns.ts'
import { countRows, tableStats, type TableStats } from '../tables/table-stats.ts'
import { WriteCounts } from '../tables/write-counts.ts'
import { prefixEnd } from './prefix-end.ts'
import type { SetKeyShape, SetMember } from './set-key-shape.ts'
import { PRESENT, setGroup } from './set-row-shape.ts'

export interface KeyedSetOptions<K, E> {
  readonly keys: SetKeyShape<K, E>
  readonly scope: ScopeStorage
  readonly place: Place<SetMember<K, E>, true>
}

/** A set of elements for each key, one row per element: what set tables and global set tables have in common. */
export class KeyedSet<K, E> {
  readonly #keys: SetKeyShape<K, E>
  readonly #scope: ScopeStorage
  readonly #place: Place<SetMember<K, E>, true>
  #reads = 0
  readonly #writes = new WriteCounts()

  constructor({ keys, scope, place }: KeyedSetOptions<K, E>) {
    this.#keys = keys
    this.#scope = scope
    this.#place = place
  }

  /**
   * Adds an element, as an effect of the event in hand; returns whether it is new. Throws as `Table.set` does.
   *
   * @example
   * visitors.add(page, userId)
   */
  add(key: K, element: E): boolean {
    const event = writingEvent(this.#scope, this.#keys.where)
    this.#writes.add(event.agent)
    const entry = this.#place.writing({ key, element }, event)
    if (entry.view(event) === true) return entry.read(event) !== true
    this.#place.write(entry, event, true)
    return true
  }

  /**
   * Deletes an element, as an effect of the event in hand; returns whether it was there. Throws as `Table.set` does.
   *
   * @example
   * if (visitors.has(page, userId)) visitors.delete(page, userId)
   */
  delete(key: K, element: E): boolean {
    const event = writingEvent(this.#scope, this.#keys.where)
    this.#writes.add(event.agent)
    const entry = this.#place.writing({ key, element }, event)
    if (entry.view(event) === undefined) return entry.read(event) !== undefined
    this.#place.write(entry, event, undefined)
    return true
  }

  /** Whether the set of a key has an element. Throws as `Table.get` does. */
  has(key: K, element: E): boolean {
    this.#reads++
    const event = readingEvent(this.#scope)
    const member = { key, element }
    const entry = event === undefined ? this.#place.outside(member) : this.#place.reading(member, event)
    return entry.read(event) === true
  }

  /** The elements of a key, in byte order of their encoding; none for a key that has no set. Throws as `Table.get` does. */
  values(key: K): readonly E[] {
    this.#reads++
    const event = readingEvent(this.#scope)
    const rows = this.#place.rowsOf({ key }, event)
    const prefix = this.#keys.encode({ key })
    return rows
      .group(setGroup(prefix), prefix, prefixEnd(prefix), event)
      .map((row) => rows.guard(this.#keys.decode(row).element))
  }

  /** Elements of all keys in the partitions that are here, by finished events. */
  get size(): number {
    return countRows(this.#place.local())
  }

  /** Key and element of every row in the partitions that are here, as `Table.entries`. */
  entries(): AsyncIterableIterator<readonly [key: K, element: E]> {
    const keys = this.#keys
    return readInTurns(this.#place.local(), readingEvent(this.#scope), (row) => {
      const { key, element } = keys.decode(row)
      return [key, element] as const
    })
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<readonly [key: K, element: E]> {
    return this.entries()
  }

  /** A row as bytes, as `Table.encodeRow`. */
  encodeRow(key: K, element: E): EncodedRow {
    const member = { key, element }
    const bytes = this.#keys.encode(member)
    return { key: bytes, value: PRESENT, home: this.#keys.home(member, bytes) }
  }

  /** Figures of this table in this process; `rows` counts elements. */
  stats(): TableStats {
    return tableStats(this.#place.opened(), { reads: this.#reads, writes: this.#writes })
  }
}

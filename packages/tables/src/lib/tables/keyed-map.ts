import { isChangeOfFrozen, MillraceError, type ScopeStorage } from '@millrace/core'
import type { EntryOwner, KeyEntry } from '../keyed/key-entry.ts'
import type { KeyShape } from '../keys/key-shape.ts'
import { readingEvent, writingEvent } from '../places/current-event.ts'
import type { Place } from '../places/place.ts'
import { readInTurns } from './read-in-turns.ts'
import { countRows, tableStats, type TableStats } from './table-stats.ts'
import { WriteCounts } from './write-counts.ts'

export interface KeyedMapOptions<K, V> {
  readonly keys: KeyShape<K>
  readonly scope: ScopeStorage
  readonly place: Place<K, V>
  readonly fallback: (() => V) | undefined
  readonly encodeValue: (value: V) => Buffer
}

/** A row as it is in the changelog, or in the topic of a global table. */
export interface EncodedRow {
  readonly key: Buffer
  readonly value: Buffer
  /** The bytes whose hash is the partition. */
  readonly home: Buffer
}

/** How to read a key. */
export interface ReadOptions {
  /** The value as of the last commit, rather than of the last finished event. */
  readonly committed?: boolean
}

/**
 * Reads and writes like a `Map`: the part that tables and global tables have in common. `G` is what `get` gives:
 * `V` with a default, else `V | undefined`.
 */
export class KeyedMap<K, V, G extends V | undefined> {
  readonly #keys: KeyShape<K>
  readonly #scope: ScopeStorage
  readonly #place: Place<K, V>
  readonly #fallback: (() => V) | undefined
  readonly #encodeValue: (value: V) => Buffer
  #reads = 0
  readonly #writes = new WriteCounts()

  constructor({ keys, scope, place, fallback, encodeValue }: KeyedMapOptions<K, V>) {
    this.#keys = keys
    this.#scope = scope
    this.#place = place
    this.#fallback = fallback
    this.#encodeValue = encodeValue
  }

  /**
   * The value of a key, or the default. In an agent: as the event in hand sees it. Elsewhere: as of the last finished
   * event, which may not be committed yet.
   *
   * @throws `KEY_NOT_OWNED`, `NOT_COPARTITIONED` or `KEY_CODEC_DIFFERS` in an agent, for a key of another partition;
   * elsewhere `PARTITION_NOT_LOCAL` or `NO_WORKER`
   * @example
   * counts.get('milk')
   */
  get(key: K, options?: ReadOptions): G {
    this.#reads++
    const event = readingEvent(this.#scope)
    if (options?.committed === true) {
      const rows = this.#place.rowsOf(key, event)
      return this.#given(rows.committed(this.#keys.encode(key)), rows)
    }
    const entry = event === undefined ? this.#place.outside(key) : this.#place.reading(key, event)
    return this.#given(entry.read(event), entry.rows)
  }

  /** Whether a key has a value of its own; a default does not count. Throws as `get` does. */
  has(key: K): boolean {
    this.#reads++
    const event = readingEvent(this.#scope)
    const entry = event === undefined ? this.#place.outside(key) : this.#place.reading(key, event)
    return entry.read(event) !== undefined
  }

  /**
   * Sets a value, as an effect of the event in hand: it counts once the event is finished, and never if it fails.
   *
   * @throws as `get` in an agent; outside agents `WRITE_OUTSIDE_AGENT`, between two events `NO_CURRENT_EVENT`;
   * `ENCODE_FAILED` or `SCHEMA_MISMATCH` for a value that the table's codec refuses
   */
  set(key: K, value: V): void {
    const event = writingEvent(this.#scope, this.#keys.where)
    if (value === undefined) throw this.#undefinedValue(key, 'set')
    this.#writes.add(event.agent)
    const entry = this.#place.writing(key, event)
    this.#place.write(entry, event, entry.rows.guard(value))
  }

  /**
   * Sets what `change` makes of the value, or of the default, and returns it. Throws as `set` does.
   *
   * @example
   * counts.update(word, (n) => n + 1)
   */
  update(key: K, change: (value: G) => V): V {
    const event = writingEvent(this.#scope, this.#keys.where)
    this.#writes.add(event.agent)
    let entry = this.#place.writing(key, event)
    const value = entry.rows.guard(this.#changed(entry, this.#given(entry.view(event), entry.rows), change))
    if (value === undefined) throw this.#undefinedValue(key, 'update')
    // `change` may have read so much else that the entry has left the cache.
    if (entry.evicted) entry = this.#place.writing(key, event)
    this.#place.write(entry, event, value)
    return value
  }

  /** Deletes a key; returns whether it had a value. Throws as `set` does. */
  delete(key: K): boolean {
    const event = writingEvent(this.#scope, this.#keys.where)
    this.#writes.add(event.agent)
    const entry = this.#place.writing(key, event)
    if (entry.view(event) === undefined) return entry.read(event) !== undefined
    this.#place.write(entry, event, undefined)
    return true
  }

  /** Keys that have a value in the partitions that are here, by finished events. */
  get size(): number {
    return countRows(this.#place.local())
  }

  /**
   * The rows of the partitions that are here, in byte order of the keys within each. Rows may change while they are read:
   * each comes at most once, as it is when it comes. In an agent with the changes of the event in hand, but not of others.
   *
   * @throws `PARTITION_NOT_LOCAL` when a partition leaves the worker meanwhile
   * @example
   * for await (const [word, count] of counts.entries()) console.log(word, count)
   */
  entries(): AsyncIterableIterator<readonly [key: K, value: V]> {
    const keys = this.#keys
    return readInTurns(this.#place.local(), readingEvent(this.#scope), (key, value) => [keys.decode(key), value])
  }

  /** The keys of `entries`. */
  keys(): AsyncIterableIterator<K> {
    const keys = this.#keys
    return readInTurns(this.#place.local(), readingEvent(this.#scope), (key) => keys.decode(key))
  }

  /** The values of `entries`. */
  values(): AsyncIterableIterator<V> {
    return readInTurns(this.#place.local(), readingEvent(this.#scope), (_key, value) => value)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<readonly [key: K, value: V]> {
    return this.entries()
  }

  /** A row as bytes: what test kits fill a table with. Throws `ENCODE_FAILED`, `SCHEMA_MISMATCH`. */
  encodeRow(key: K, value: V): EncodedRow {
    const bytes = this.#keys.encode(key)
    return { key: bytes, value: this.#encodeValue(value), home: this.#keys.home(key, bytes) }
  }

  /** Figures of this table in this process. */
  stats(): TableStats {
    return tableStats(this.#place.opened(), { reads: this.#reads, writes: this.#writes })
  }

  #given(value: V | undefined, rows: EntryOwner<V>): G {
    // G is V exactly when there is a fallback: `createTable` derives both from the same options.
    return (value === undefined && this.#fallback !== undefined ? rows.guard(this.#fallback()) : value) as G
  }

  #changed(entry: KeyEntry<V>, value: G, change: (value: G) => V): V {
    try {
      return change(value)
    } catch (thrown) {
      if (!isChangeOfFrozen(thrown)) throw thrown
      throw new MillraceError(
        'VALUE_FROZEN',
        `The function given to update changes ${entry.show()} in place: ${thrown.message}.`,
        {
          cause: thrown,
        },
      )
    }
  }

  #undefinedValue(key: K, method: string): MillraceError {
    const shown = this.#keys.show(this.#keys.encode(key))
    const how = method === 'update' ? 'the function given to update returned undefined' : 'set was given undefined'
    return new MillraceError('VALUE_UNDEFINED', `Key ${shown} of ${this.#keys.where}: ${how}.`)
  }
}

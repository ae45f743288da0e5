import { type Codec, MillraceError } from '@millrace/core'
import {
  readingEvent,
  readInOrder,
  type RowSpan,
  writingEvent,
  type CodecKeys,
  type RowShape,
  type StateContext,
  type StateShape,
} from '@millrace/state'
import { KeyedTable, type EncodedRow } from './keyed-table.ts'
import type { KeyedDefinition } from './options.ts'
import { atMost, pageSpan, prefixSpan, spanOf, textKeys, textSpan, withBytes } from './row-ranges.ts'
import type { LimitedSpan, RangeOptions, RowCursor, TextRange } from './row-ranges.ts'
import { TableValues } from './table-values.ts'
import { watchKey, type WatchOptions } from './watch/watch-key.ts'
import { type TableChange, watchRows, withKeys } from './watch/watch-rows.ts'

/** How to read a key. */
export interface ReadOptions {
  /** The value as of the last commit, rather than of the last finished event. */
  readonly committed?: boolean
}

/**
 * Reads and writes like a `Map`: what tables and global tables have in common. `G` is what `get` gives: `V` with a default,
 * else `V | undefined`.
 */
export abstract class KeyedMap<K, V, G extends V | undefined> extends KeyedTable<K, K, V> {
  readonly codecOfKeys: Codec<K>
  readonly #rowShape: RowShape<V>
  readonly #values: TableValues<V, G>
  #onWrite: ((key: K) => void) | undefined = undefined

  constructor(
    context: StateContext,
    shape: StateShape<K, V> & { readonly keys: CodecKeys<K> },
    definition: KeyedDefinition<K, V> & { readonly fallback: (() => V) | undefined },
  ) {
    super(context, shape.keys, definition)
    this.codecOfKeys = definition.keyCodec
    this.#rowShape = shape.rows
    this.#values = new TableValues(definition.fallback)
  }

  /**
   * The value of a key, or the default. In an agent: as the current event sees it. Elsewhere: as of the last finished
   * event, which may not be committed yet.
   *
   * @throws `KEY_NOT_OWNED`, `NOT_COPARTITIONED` or `KEY_CODEC_DIFFERS` in an agent, for a key of another partition;
   * elsewhere `PARTITION_NOT_LOCAL` or `NO_WORKER`
   * @example
   * counts.get('milk')
   */
  get(key: K, options?: ReadOptions): G {
    this.uses.reads++
    const event = readingEvent(this.storage)
    if (options?.committed === true) {
      const rows = this.rows.rowsOf(key, event)
      return this.#values.given(rows.committed(this.keyShape.encode(key)), rows)
    }
    const entry = event === undefined ? this.rows.outside(key) : this.rows.reading(key, event)
    return this.#values.given(entry.read(event), entry.rows)
  }

  /** The value of a key, `undefined` where it has none of its own: a default does not count. Throws as `get` does. */
  find(key: K): V | undefined {
    this.uses.reads++
    const event = readingEvent(this.storage)
    const entry = event === undefined ? this.rows.outside(key) : this.rows.reading(key, event)
    return entry.read(event)
  }

  /** Whether a key has a value of its own; a default does not count. Throws as `get` does. */
  has(key: K): boolean {
    this.uses.reads++
    const event = readingEvent(this.storage)
    const entry = event === undefined ? this.rows.outside(key) : this.rows.reading(key, event)
    return entry.read(event) !== undefined
  }

  /**
   * Sets a value, as an effect of the current event: it counts once the event is finished, and never if it fails.
   *
   * @throws as `get` in an agent; outside agents `WRITE_OUTSIDE_AGENT`, between two events `NO_CURRENT_EVENT`;
   * `ENCODE_FAILED` or `SCHEMA_MISMATCH` for a value that the table's codec refuses
   */
  set(key: K, value: V): void {
    const event = writingEvent(this.storage, this.keyShape.where)
    if (value === undefined) throw this.#undefinedValue(key, 'set')
    this.uses.addWrite(event.agent)
    const entry = this.rows.writing(key, event)
    this.rows.write(entry, event, entry.rows.guard(value))
    this.#onWrite?.(key)
  }

  /**
   * Sets what `change` makes of the value, or of the default, and returns it. Throws as `set` does.
   *
   * @example
   * counts.update(word, (n) => n + 1)
   */
  update(key: K, change: (value: G) => V): V {
    const event = writingEvent(this.storage, this.keyShape.where)
    this.uses.addWrite(event.agent)
    let entry = this.rows.writing(key, event)
    const value = entry.rows.guard(this.#values.changed(entry, entry.view(event), change))
    if (value === undefined) throw this.#undefinedValue(key, 'update')
    // `change` may have read so much else that the entry has left the cache.
    if (entry.evicted) entry = this.rows.writing(key, event)
    this.rows.write(entry, event, value)
    this.#onWrite?.(key)
    return value
  }

  /** Deletes a key; returns whether it had a value. Throws as `set` does. */
  delete(key: K): boolean {
    const event = writingEvent(this.storage, this.keyShape.where)
    this.uses.addWrite(event.agent)
    const entry = this.rows.writing(key, event)
    if (entry.view(event) === undefined) return entry.read(event) !== undefined
    this.rows.write(entry, event, undefined)
    this.#onWrite?.(key)
    return true
  }

  /** Calls `fn` in the event that has written a key, after each write: for tables that are kept up from this one. */
  onWrite(fn: (key: K) => void): void {
    const before = this.#onWrite
    this.#onWrite =
      before === undefined
        ? fn
        : (key) => {
            before(key)
            fn(key)
          }
  }

  /**
   * The rows of the partitions that are here, in byte order of the keys within each. Rows may change while they are read:
   * each comes at most once, as it is when it comes. In an agent with the changes of the current event, but not of others.
   *
   * @throws `PARTITION_NOT_LOCAL` when a partition leaves the worker meanwhile; `TABLE_PARTIAL` in a job with `onLeader`
   * when other workers have some of the partitions
   * @example
   * for await (const [word, count] of counts.entries()) console.log(word, count)
   */
  entries(): AsyncIterableIterator<readonly [key: K, value: V]> {
    const keys = this.keyShape
    return this.scan((key, value) => [keys.decode(key), value])
  }

  /**
   * The rows of the partitions that are here whose keys are in a range, in the order of the keys' bytes: those of text are in
   * the order of its UTF-8. Otherwise as `entries`.
   *
   * @throws `RANGE_UNORDERED` for keys that are neither text nor bytes; otherwise as `entries`
   * @example
   * for await (const [day, count] of counts.range({ from: '2026-01', to: '2026-02' })) console.log(day, count)
   */
  range(options: RangeOptions<K> = {}): AsyncIterableIterator<readonly [key: K, value: V]> {
    return this.inOrder(spanOf(this.keyShape, options))
  }

  /**
   * The committed value of a key, and its value after each commit that writes it; `undefined` where it has none. A reader that is
   * slow gets the newest value and misses those between. The key's partition has to be in this process.
   *
   * @throws `PARTITION_NOT_LOCAL`, now or when the partition leaves this worker; the signal's reason
   * @example
   * for await (const count of counts.watch('milk', { signal })) screen.show(count)
   */
  watch(key: K, { signal }: WatchOptions = {}): AsyncGenerator<V | undefined> {
    const rows = this.rows.rowsOf(key, undefined)
    const bytes = this.keyShape.encode(key)
    return watchKey({ watchers: this.watchers, rows, key: bytes, read: () => rows.committed(bytes), signal })
  }

  /**
   * The committed rows of the partitions that are here whose keys are in a range, and then what commits change of them. With
   * `{ type: 'state' }` all rows follow until `{ type: 'ready' }`; this comes again if the reader was so slow that too many
   * changes have gathered. Throws as `range` does, and as `watch`.
   *
   * @example
   * for await (const change of counts.watchRange({ prefix: 'm' }, { signal })) if (change.type === 'value') show(change.key, change.value)
   */
  watchRange(
    { prefix, ...range }: Pick<RangeOptions<K>, 'from' | 'to'> & { readonly prefix?: string },
    { signal }: WatchOptions = {},
  ): AsyncGenerator<TableChange<K, V>> {
    const span = prefix === undefined ? spanOf(this.keyShape, range) : prefixSpan(this.keyShape, prefix, {})
    return this.changes({ span, signal })
  }

  /**
   * The rows whose keys begin with this text. Throws as `range` does.
   *
   * @example
   * for await (const [path, visits] of visits.prefix('/shop/', { limit: 10 })) console.log(path, visits)
   */
  prefix(
    text: string,
    options: Pick<RangeOptions<K>, 'reverse' | 'limit'> = {},
  ): AsyncIterableIterator<readonly [key: K, value: V]> {
    return this.inOrder(prefixSpan(this.keyShape, text, options))
  }

  /** Rows by keys of text, for pages and commands. Throws `RANGE_UNORDERED`; otherwise as `range`. */
  textRange(range: TextRange): AsyncIterableIterator<readonly [key: string, value: V]> {
    return textKeys(this.inOrder(textSpan(this.keyShape, range)))
  }

  /** A page of the rows of the partitions that are here, in byte order of the keys, for pages. Throws as `entries`. */
  rowsByBytes(page: RowCursor): AsyncIterable<readonly [bytes: Buffer, key: K, value: V]> {
    return withBytes(this.keyShape, this.inOrder(pageSpan(page)))
  }

  protected inOrder({
    limit,
    committed = false,
    ...span
  }: LimitedSpan): AsyncIterableIterator<readonly [key: K, value: V]> {
    const keys = this.keyShape
    const read = { event: readingEvent(this.storage), span, committed }
    return atMost(
      limit,
      readInOrder(this.rows.local(), read, (key, value) => [keys.decode(key), value] as const),
    )
  }

  protected changes({ span, signal }: WatchOptions & { readonly span: RowSpan }): AsyncGenerator<TableChange<K, V>> {
    const changes = watchRows({ watchers: this.watchers, partitions: this.rows.local(), span, signal })
    return withKeys(changes, (key) => this.keyShape.decode(key))
  }

  /** The keys of `entries`. */
  keys(): AsyncIterableIterator<K> {
    const keys = this.keyShape
    return this.scan((key) => keys.decode(key))
  }

  /** The values of `entries`. */
  values(): AsyncIterableIterator<V> {
    return this.scan((_key, value) => value)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<readonly [key: K, value: V]> {
    return this.entries()
  }

  /** The value of a key typed as text, for pages and commands. Throws as `get` does, and `KEY_INVALID`. */
  lookup(text: string, options?: ReadOptions): G {
    return this.get(this.keyOf(text), options)
  }

  /** As `watch`, of a key typed as text. */
  watchText(text: string, options?: WatchOptions): AsyncGenerator<V | undefined> {
    return this.watch(this.keyOf(text), options)
  }

  /** As `watchRange`, of keys of text. Throws `RANGE_UNORDERED` if keys are not text. */
  watchTextRange(
    range: Pick<TextRange, 'prefix' | 'from' | 'to'>,
    options: WatchOptions = {},
  ): AsyncGenerator<TableChange<string, V>> {
    const span = textSpan(this.keyShape, { ...range, limit: Infinity })
    return withKeys(this.changes({ ...options, span }), String)
  }

  /** Whether a key typed as text has a value of its own. Throws as `lookup` does. */
  holds(text: string): boolean {
    return this.has(this.keyOf(text))
  }

  /** A row as bytes: what test kits fill a table with. Throws `ENCODE_FAILED`, `SCHEMA_MISMATCH`. */
  encodeRow(key: K, value: V): EncodedRow {
    const bytes = this.keyShape.encode(key)
    return { key: bytes, value: this.#rowShape.encode(value), partitionedBy: this.keyShape.partitionedBy(key, bytes) }
  }

  /** The value in the bytes of `encodeRow`. Throws `ROW_UNDECODABLE`. */
  decodeValue(value: Buffer, key: Buffer): V {
    return this.#rowShape.decode(value, key)
  }

  #undefinedValue(key: K, method: string): MillraceError {
    const shown = this.keyShape.show(this.keyShape.encode(key))
    const how = method === 'update' ? 'the function given to update returned undefined' : 'set was given undefined'
    return new MillraceError('VALUE_UNDEFINED', `Key ${shown} of ${this.keyShape.where}: ${how}.`)
  }
}

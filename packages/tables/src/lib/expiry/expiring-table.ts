import { type Clock, MillraceError } from '@millrace/core'
import { readingEvent, type RowSpan, type StateContext, writingEvent } from '@millrace/state'
import type { CurrentEvent, OpenState, OpenStateOptions, StateCopy, TableStats } from '@millrace/worker'
import type { ReadOptions } from '../keyed-map.ts'
import type { EncodedRow } from '../keyed-table.ts'
import type { TableDefinition } from '../options.ts'
import type { LimitedSpan } from '../row-ranges.ts'
import { Table } from '../table.ts'
import type { WatchOptions } from '../watch/watch-key.ts'
import type { TableChange } from '../watch/watch-rows.ts'
import type { ViewDeclarations } from '../windows/views.ts'
import { ExpiringRow, NO_CLOCK } from './expiring-row.ts'
import { type Expiry, ExpiringPartition, ExpiringRows } from './expiring-rows.ts'

/**
 * A table whose rows expire some time after their last write. They are hidden at once, and deleted from store and changelog
 * soon after. Made by `createTable` with a `ttl`.
 */
export class ExpiringTable<K, V, G extends V | undefined> extends Table<K, V, G> {
  readonly eventTime: boolean
  readonly #map: ExpiringRows<K, V>
  readonly #expiry: Expiry
  readonly #fallback: (() => V) | undefined
  readonly #context: StateContext

  constructor(
    context: StateContext,
    { expiry, ...table }: TableDefinition<K, V> & { readonly expiry: Expiry },
    views?: ViewDeclarations,
  ) {
    super(context, table, views)
    this.eventTime = expiry.clock === 'event'
    this.#expiry = expiry
    this.#fallback = table.fallback
    this.#context = context
    this.#map = new ExpiringRows(context, { definition: this, table, expiry })
  }

  /** Throws `DEFINITION_INVALID`: rows expire without an event, so another table could not be kept up to date. */
  override onWrite(): never {
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Table "${this.name}" has a ttl, and cannot be joined with another table: its rows expire without an event. Join a stream with it.`,
    )
  }

  override get size(): number {
    return this.#map.size
  }

  override get(key: K, options?: ReadOptions): G {
    return this.#given(this.#live(this.#map.get(key, options)))
  }

  override find(key: K): V | undefined {
    return this.#live(this.#map.find(key))
  }

  override has(key: K): boolean {
    return this.find(key) !== undefined
  }

  override set(key: K, value: V): void {
    const event = writingEvent(this.storage, this.keyShape.where)
    this.#map.set(key, this.#row(key, value, event, 'set'))
  }

  override update(key: K, change: (value: G) => V): V {
    const event = writingEvent(this.storage, this.keyShape.where)
    const changed = (row: ExpiringRow<V> | undefined): ExpiringRow<V> =>
      this.#row(key, change(this.#given(row?.live(event))), event, 'update')
    return this.#map.update(key, changed).value
  }

  override delete(key: K): boolean {
    writingEvent(this.storage, this.keyShape.where)
    return this.find(key) !== undefined && this.#map.delete(key)
  }

  override async *entries(): AsyncGenerator<readonly [key: K, value: V]> {
    const event = readingEvent(this.storage)
    for await (const [key, row] of this.#map.entries()) {
      const value = row.live(event)
      if (value !== undefined) yield [key, value]
    }
  }

  /** Rows that expire by event time are shown until their owner has deleted them: a copy does not know that time. */
  override lookupCopy(text: string, rows: StateCopy['rows'], clock: Pick<Clock, 'now'>): G {
    const key = this.parseKey(text)
    const bytes = rows.get(key)
    const row = bytes === undefined ? undefined : this.#map.decodeValue(bytes, key)
    const now = this.#expiry.clock === 'wall' ? clock.now() : -Infinity
    return this.#given(row !== undefined && row.until > now ? row.value : undefined)
  }

  override watch(key: K, options?: WatchOptions): AsyncGenerator<V | undefined> {
    return liveValues(this.#map.watch(key, options))
  }

  protected override changes(watched: WatchOptions & { readonly span: RowSpan }): AsyncGenerator<TableChange<K, V>> {
    return liveChanges(this.#map.changes(watched))
  }

  protected override async *inOrder({ limit, ...span }: LimitedSpan): AsyncGenerator<readonly [key: K, value: V]> {
    const event = readingEvent(this.storage)
    let left = limit
    if (left <= 0) return
    for await (const [key, row] of this.#map.inOrder({ ...span, limit: Infinity })) {
      const value = row.live(event)
      if (value === undefined) continue
      yield [key, value]
      if (--left <= 0) return
    }
  }

  override async *keys(): AsyncGenerator<K> {
    for await (const [key] of this.entries()) yield key
  }

  override async *values(): AsyncGenerator<V> {
    for await (const [, value] of this.entries()) yield value
  }

  override encodeRow(key: K, value: V): EncodedRow {
    // Without a worker there is no time; the row then lives until it is written again.
    const [worker] = this.#context.workers()
    const until = worker === undefined ? Infinity : worker.clock.now() + this.#expiry.ttlMs
    return this.#map.encodeRow(key, new ExpiringRow(value, until, NO_CLOCK))
  }

  override stats(): TableStats {
    const opened = this.#map.rows.opened().flatMap((rows) => (rows instanceof ExpiringPartition ? [rows] : []))
    const expired = opened.reduce((sum, { due }) => sum + due.expired, 0)
    return { ...super.stats(), ...this.#map.stats(), late: super.stats().late, expired }
  }

  override openState(context: OpenStateOptions): OpenState {
    return this.#map.rows.open(context)
  }

  override state(partition: number): OpenState | undefined {
    return this.#map.rows.state(partition)
  }

  #live(row: ExpiringRow<V> | undefined): V | undefined {
    return row?.live(readingEvent(this.storage))
  }

  #given(value: V | undefined): G {
    // G is V exactly when there is a fallback: `createTable` derives both from the same options.
    return (value ?? this.#fallback?.()) as G
  }

  #row(key: K, value: V, event: CurrentEvent, method: string): ExpiringRow<V> {
    if (value === undefined)
      throw new MillraceError(
        'VALUE_UNDEFINED',
        `Key ${this.keyShape.show(this.keyShape.encode(key))} of ${this.keyShape.where}: ${method} gave undefined.`,
      )
    const open = event.task.open(this)
    // A task without the table is reported when the row is looked up.
    if (!(open instanceof ExpiringPartition)) return new ExpiringRow(value, Infinity, NO_CLOCK)
    open.writtenBy(event)
    return new ExpiringRow(value, open.expiry.writtenAt(event) + this.#expiry.ttlMs, open.expiry)
  }
}

async function* liveValues<V>(rows: AsyncIterable<ExpiringRow<V> | undefined>): AsyncGenerator<V | undefined> {
  for await (const row of rows) yield row?.live(undefined)
}

async function* liveChanges<K, V>(
  changes: AsyncIterable<TableChange<K, ExpiringRow<V>>>,
): AsyncGenerator<TableChange<K, V>> {
  for await (const change of changes) {
    if (change.type !== 'value') yield change
    else {
      const value = change.value.live(undefined)
      yield value === undefined ? { type: 'delete', key: change.key } : { ...change, value }
    }
  }
}

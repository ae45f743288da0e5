import { codecShape, DuePartition, type RowShape, type RowSpan, type StateContext, TaskLocator } from '@millrace/state'
import { NO_HEADERS } from '@millrace/core'
import type { OpenStateOptions, StateDefinition } from '@millrace/worker'
import { KeyedMap } from '../keyed-map.ts'
import type { TableDefinition } from '../options.ts'
import type { LimitedSpan } from '../row-ranges.ts'
import type { WatchOptions } from '../watch/watch-key.ts'
import type { TableChange } from '../watch/watch-rows.ts'
import { eventExpiry, type ExpiryClock, type ExpiringRow, expiringRows, NO_CLOCK, wallExpiry } from './expiring-row.ts'

/** How long rows live after each write, and by which clock. */
export interface Expiry {
  readonly ttlMs: number
  readonly clock: 'wall' | 'event'
}

/** The rows of one partition. They expire without events. */
export class ExpiringPartition<V> extends DuePartition<ExpiringRow<V>> {
  readonly expiry: ExpiryClock

  constructor(rows: RowShape<V>, options: OpenStateOptions, { clock }: Expiry) {
    const expiry = clock === 'wall' ? wallExpiry(options.clock) : eventExpiry(options.time)
    super(expiringRows(rows, expiry), options, {
      keyCodec: undefined,
      clock,
      dueOf: ({ until }) => (until === Infinity ? undefined : until),
      isExpiry: () => true,
      record: (key) => ({ key, value: null, headers: NO_HEADERS }),
    })
    this.expiry = expiry
  }
}

/** The rows of an expiring table as an internal map: values with their times, including expired ones. */
export class ExpiringRows<K, V> extends KeyedMap<K, ExpiringRow<V>, ExpiringRow<V> | undefined> {
  override readonly rows: TaskLocator<K, ExpiringRow<V>>

  /** `definition`: the table. */
  constructor(
    context: StateContext,
    { definition, table, expiry }: { definition: StateDefinition; table: TableDefinition<K, V>; expiry: Expiry },
  ) {
    const { keys, rows } = codecShape(table)
    const shape = { keys, rows: expiringRows(rows, NO_CLOCK) }
    const valueCodec = {
      name: table.valueCodec.name,
      encode: (row: ExpiringRow<V>) => shape.rows.encode(row),
      decode: (bytes: Buffer) => shape.rows.decode(bytes, NO_KEY),
    }
    super(context, shape, { ...table, valueCodec, fallback: undefined })
    this.rows = new TaskLocator({
      definition,
      shape,
      context,
      anywhere: table.partitioner === 'source',
      make: (_shape, options) => new ExpiringPartition(rows, options, expiry),
    })
  }

  override inOrder(span: LimitedSpan): AsyncIterableIterator<readonly [key: K, value: ExpiringRow<V>]> {
    return super.inOrder(span)
  }

  override changes(watched: WatchOptions & { readonly span: RowSpan }): AsyncGenerator<TableChange<K, ExpiringRow<V>>> {
    return super.changes(watched)
  }
}

const NO_KEY = Buffer.alloc(0)

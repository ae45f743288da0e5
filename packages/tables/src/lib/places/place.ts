import type { EventScope } from '@millrace/core'
import type { KeyEntry } from '../keyed/key-entry.ts'
import type { KeyedRows } from '../keyed/keyed-rows.ts'

/** Where the rows of a table are kept: in the task of the event in hand, or in a copy on every worker. */
export interface Place<K, V> {
  /** The entry of a key for a read by the event in hand. Throws when the event may not read it. */
  reading(key: K, event: EventScope): KeyEntry<V>
  /** The entry of a key for a write by the event in hand. Throws when the event may not write it. */
  writing(key: K, event: EventScope): KeyEntry<V>
  /** `value` undefined deletes. */
  write(entry: KeyEntry<V>, event: EventScope, value: V | undefined): void
  /** The entry of a key for a read outside an event. Throws `PARTITION_NOT_LOCAL` or `NO_WORKER`. */
  outside(key: K): KeyEntry<V>
  /** The rows that hold a key, with the same checks as `reading` and `outside`. */
  rowsOf(key: K, event: EventScope | undefined): KeyedRows<V>
  /** Everything that the worker at work here has, or the workers of this process have; by partition. Throws `NO_WORKER`. */
  local(): readonly KeyedRows<V>[]
  /** As `local`, but nothing when there is no worker. */
  opened(): readonly KeyedRows<V>[]
}

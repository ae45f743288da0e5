import type { Immutable } from '@millrace/core'
import type { GlobalTable as AnyGlobalTable, Table as AnyTable } from '@millrace/tables'

/**
 * A table of an app by the types of its keys and values, for functions that are given one. It gives values out readonly
 * to their depth; `G` is what `get` gives, where that matters.
 *
 * @example
 * function total(carts: Table<string, Cart>, customer: string): number {
 *   return carts.get(customer)?.items.length ?? 0
 * }
 */
export type Table<K, V, G extends Immutable<V> | undefined = Immutable<V> | undefined> = AnyTable<K, Immutable<V>, G>

/** As `Table`, of a global table. */
export type GlobalTable<K, V, G extends Immutable<V> | undefined = Immutable<V> | undefined> = AnyGlobalTable<
  K,
  Immutable<V>,
  G
>

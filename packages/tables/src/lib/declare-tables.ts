import type { CodecSpec, DefinedNames, Immutable, Named } from '@millrace/core'
import type { StateContext } from '@millrace/state'
import {
  type AnyGlobalTable,
  createGlobalTable,
  type GlobalTable,
  type GlobalTableOf,
  type GlobalTableOptions,
} from './global-table.ts'
import type { Fallback, KeyOf, TableOptions, ValueOf } from './options.ts'
import { createSetTable, type GlobalSetTable, type SetTable, type SetTableOptions } from './set-table.ts'
import { createTable } from './create-table.ts'
import { type AnyTable, type Table, type TableOf } from './table.ts'
import { createKeyTimers, type KeyTimers, type KeyTimersOptions } from './timers/key-timers.ts'
import type { JoinTablesOptions, LeftRow, RightRow, TablesJoinKind } from './joins/join-options.ts'
import type { ReferredTable } from './joins/foreign-key.ts'
import { joinByForeignKey, type JoinedSide, joinTables } from './joins/join-tables.ts'
import { NO_APP, type ViewDeclarations } from './windows/views.ts'

/** Declarations of an app's tables. */
export interface TableDeclarations {
  /**
   * Declares a table: keyed state, partitioned as its source topics, kept in the changelog `{id}-{name}-changelog`.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `CODEC_UNKNOWN`, `DEFINITION_LATE`
   * @example
   * const counts = app.table('word_counts', { key: 'string', value: 'number', default: () => 0 })
   */
  table<
    const KS extends CodecSpec,
    const VS extends CodecSpec,
    D extends Fallback<VS> = undefined,
    const N extends string = string,
  >(
    name: N,
    options: TableOptions<KS, VS, D>,
  ): Named<TableOf<KS, VS, D>, N>

  /**
   * Declares a table whose rows are made of those of two tables with the same keys: `fn` gets both rows of a key, and may give
   * none. It is kept up by the events that write the two tables, as a part of them; agents read it like any table. What the
   * tables had before the join was declared is in it with its next change.
   *
   * @throws `KEY_CODEC_DIFFERS`, `DEFINITION_INVALID`, and as `table` does; at start `NOT_COPARTITIONED`
   * @example
   * const profiles = app.joinTables('profiles', customers, addresses, { kind: 'outer' }, (customer, address) => ({ ...customer, address }))
   */
  joinTables<K, L, R, V, const J extends TablesJoinKind = 'inner', const N extends string = string>(
    name: N,
    left: JoinedSide<K, L>,
    right: JoinedSide<K, R>,
    options: JoinTablesOptions<K, V, J> & { readonly on?: undefined },
    fn: (left: LeftRow<L, J>, right: RightRow<R, J>) => V | undefined,
  ): Named<Table<K, V>, N>
  /**
   * As above, where rows of the left table refer to rows of the right one by a key that `on` gives. The two need not have the
   * same partitions: what rows refer to, and the answers, go through two topics, so the result follows soon after.
   *
   * @example
   * const named = app.joinTables('named-orders', orders, customers, { on: (order) => order.customer }, (order, { name }) => ({ ...order, name }))
   */
  joinTables<K, RK, L, R, V, const J extends 'inner' | 'left' = 'inner', const N extends string = string>(
    name: N,
    left: JoinedSide<K, L>,
    right: ReferredTable<RK, R>,
    options: JoinTablesOptions<K, V, J> & { readonly on: (left: L) => RK | null | undefined },
    fn: (left: L, right: RightRow<R, J>) => V | undefined,
  ): Named<Table<K, V>, N>

  /** Declares a table that every worker has whole. Throws as `table` does. */
  globalTable<
    const KS extends CodecSpec,
    const VS extends CodecSpec,
    D extends Fallback<VS> = undefined,
    const N extends string = string,
  >(
    name: N,
    options: GlobalTableOptions<KS, VS, D>,
  ): Named<GlobalTableOf<KS, VS, D>, N>

  /** Declares a table of sets: `add`, `delete`, `has`, `values`. With `global: true` every worker has it whole. Throws as `table` does. */
  setTable<const KS extends CodecSpec, const ES extends CodecSpec, const N extends string = string>(
    name: N,
    options: SetTableOptions<KS, ES> & { readonly global: true },
  ): Named<GlobalSetTable<KeyOf<KS>, ValueOf<ES>>, N>
  setTable<const KS extends CodecSpec, const ES extends CodecSpec, const N extends string = string>(
    name: N,
    options: SetTableOptions<KS, ES> & { readonly global?: false },
  ): Named<SetTable<KeyOf<KS>, ValueOf<ES>>, N>

  /**
   * Declares durable timers for keys: `set`, `cancel`, `get` in agents, and the source of the agent that handles those that
   * are due. Throws as `table` does.
   *
   * @example
   * const reminders = app.keyTimers('reminders', { key: 'string', value: 'string', clock: 'wall' })
   */
  keyTimers<const KS extends CodecSpec, const VS extends CodecSpec>(
    name: string,
    options: KeyTimersOptions<KS, VS>,
  ): KeyTimers<KeyOf<KS>, ValueOf<VS>>
}

/** Where they are kept. */
interface TableDefinitions extends DefinedNames {
  readonly tables: Map<string, AnyTable>
  readonly globalTables: Map<string, AnyGlobalTable>
}

/** `onClose`, `fill`, `consume`: as `ViewDeclarations` says. */
export function declareTables(
  context: StateContext,
  definitions: TableDefinitions,
  { onClose, fill, consume }: Pick<ViewDeclarations, 'onClose' | 'fill' | 'consume'> = NO_APP,
): TableDeclarations {
  const { tables, globalTables } = definitions
  // Tables of all kinds share stores and routes, so they share names.
  const spread = <N extends string>(name: N) => ({ into: tables, besides: globalTables, name, among: 'table' })
  const whole = <N extends string>(name: N) => ({ into: globalTables, besides: tables, name, among: 'table' })
  const views: ViewDeclarations = {
    add: (name, make) => definitions.add('windowed table', spread(name), make),
    onClose,
    fill,
    consume,
  }
  function setTable<KS extends CodecSpec, ES extends CodecSpec, N extends string>(
    name: N,
    options: SetTableOptions<KS, ES> & { readonly global: true },
  ): Named<GlobalSetTable<KeyOf<KS>, ValueOf<ES>>, N>
  function setTable<KS extends CodecSpec, ES extends CodecSpec, N extends string>(
    name: N,
    options: SetTableOptions<KS, ES> & { readonly global?: false },
  ): Named<SetTable<KeyOf<KS>, ValueOf<ES>>, N>
  function setTable<KS extends CodecSpec, ES extends CodecSpec, N extends string>(
    name: N,
    options: SetTableOptions<KS, ES>,
  ): Named<SetTable<KeyOf<KS>, ValueOf<ES>> | GlobalSetTable<KeyOf<KS>, ValueOf<ES>>, N> {
    return options.global === true
      ? definitions.add('set table', whole(name), () =>
          createSetTable<KS, ES>(context, name, { ...options, global: true }),
        )
      : definitions.add('set table', spread(name), () =>
          createSetTable<KS, ES>(context, name, { ...options, global: false }),
        )
  }
  // Typed by its declaration: which of the two joins it is shows in `on` alone.
  const join = (
    name: string,
    left: JoinedSide<unknown, unknown>,
    right: ReferredTable<unknown, unknown>,
    { on, ...options }: JoinTablesOptions<unknown, unknown, never> & { readonly on?: (row: unknown) => unknown },
    fn: (left: unknown, right: unknown) => unknown,
  ): Table<unknown, unknown> => {
    const sides = { name, left, right, views }
    if (on === undefined) return definitions.add('table', spread(name), () => joinTables(context, sides, options, fn))
    const table = definitions.add('table', spread(name), () => joinByForeignKey(context, sides, { ...options, on }, fn))
    for (const own of [table.references, table.subscribers])
      definitions.add('table', spread(own.name), (): AnyTable => own)
    return table
  }
  return {
    table: (name, options) => definitions.add('table', spread(name), () => createTable(context, name, options, views)),
    joinTables: join as TableDeclarations['joinTables'],
    globalTable: (name, options) =>
      definitions.add('global table', whole(name), () => createGlobalTable(context, name, options)),
    setTable,
    keyTimers: (name, options) =>
      definitions.add('key timers', spread(name), () => createKeyTimers(context, name, options)),
  }
}

/**
 * A table of an app by the types of its keys and values, for functions that are given one. It gives values out readonly
 * to their depth; `G` is what `get` gives, where that matters.
 *
 * @example
 * function total(carts: Table<string, Cart>, customer: string): number {
 *   return carts.get(customer)?.items.length ?? 0
 * }
 */
export type AppTable<K, V, G extends Immutable<V> | undefined = Immutable<V> | undefined> = Table<K, Immutable<V>, G>

/** As `AppTable`, of a global table. */
export type AppGlobalTable<K, V, G extends Immutable<V> | undefined = Immutable<V> | undefined> = GlobalTable<
  K,
  Immutable<V>,
  G
>

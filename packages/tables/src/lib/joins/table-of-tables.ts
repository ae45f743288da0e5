import type { StateContext } from '@millrace/state'
import type { StateDefinition } from '@millrace/worker'
import type { TableDefinition } from '../options.ts'
import type { ViewDeclarations } from '../windows/views.ts'
import type { TablesJoinKind } from './join-options.ts'
import { KeptUpTable } from './kept-up-table.ts'
import type { ChangeTopic } from './result-topic.ts'

/** What a computed table needs of a source table. */
export interface WatchedTable<K, V> extends StateDefinition {
  find(key: K): V | undefined
  /** Calls `fn` in the event that has written a key, after each write. */
  onWrite(fn: (key: K) => void): void
}

export interface TablesJoin<K, L, R, V> {
  readonly left: WatchedTable<K, L>
  readonly right: WatchedTable<K, R>
  readonly kind: TablesJoinKind
  readonly join: (left: L | undefined, right: R | undefined) => V | undefined
  readonly to: ChangeTopic<K, V> | undefined
}

/**
 * A table whose rows are computed from two others with the same keys. The events that write those also write this one, in the
 * same transaction, and not at all if they fail.
 */
export class TableOfTables<K, L, R, V> extends KeptUpTable<K, V> {
  override readonly besides: readonly StateDefinition[]
  readonly #join: TablesJoin<K, L, R, V>

  constructor(
    context: StateContext,
    definition: TableDefinition<K, V>,
    join: TablesJoin<K, L, R, V>,
    views: ViewDeclarations,
  ) {
    const { left, right, to } = join
    super(context, definition, { sources: [left, right], to, views })
    this.besides = [left, right]
    this.#join = join
    for (const side of [left, right]) side.onWrite((key) => this.put(key, this.#rowOf(key)))
  }

  #rowOf(key: K): V | undefined {
    const { left, right, kind, join } = this.#join
    const [a, b] = [left.find(key), right.find(key)]
    if (a === undefined && (kind !== 'outer' || b === undefined)) return undefined
    return b === undefined && kind === 'inner' ? undefined : this.made(join(a, b))
  }
}

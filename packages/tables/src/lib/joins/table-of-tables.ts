import { MillraceError } from '@millrace/core'
import { type StateContext, writingEvent } from '@millrace/state'
import type { StateDefinition } from '@millrace/worker'
import type { TableDefinition } from '../options.ts'
import { Table } from '../table.ts'
import type { ViewDeclarations } from '../windows/views.ts'
import type { TablesJoinKind } from './join-options.ts'
import { type ChangeTopic, ResultTopic } from './result-topic.ts'

/** A table, as one that is kept up from it uses it. */
export interface WatchedTable<K, V> extends StateDefinition {
  find(key: K): V | undefined
  /** Calls `fn` in the event that has written a key, after each write. */
  watch(fn: (key: K) => void): void
}

export interface TablesJoin<K, L, R, V> {
  readonly left: WatchedTable<K, L>
  readonly right: WatchedTable<K, R>
  readonly kind: TablesJoinKind
  readonly join: (left: L | undefined, right: R | undefined) => V | undefined
  readonly to: ChangeTopic<K, V> | undefined
}

/**
 * A table whose rows are made of those of two others with the same keys. It is kept up by the events that write these: in the
 * same transaction, and not at all if they fail.
 */
export class TableOfTables<K, L, R, V> extends Table<K, V> {
  override readonly besides: readonly StateDefinition[]
  readonly #join: TablesJoin<K, L, R, V>
  readonly #result: ResultTopic<K, V> | undefined

  constructor(
    context: StateContext,
    definition: TableDefinition<K, V>,
    join: TablesJoin<K, L, R, V>,
    views: ViewDeclarations,
  ) {
    super(context, definition, views)
    const { left, right, to } = join
    this.besides = [left, right]
    this.#join = join
    this.#result = to === undefined ? undefined : new ResultTopic(to)
    for (const side of [left, right]) side.watch((key) => this.#keepUp(key))
  }

  override set(_key: K, _value: V): void {
    throw this.#keptUp('set')
  }

  override update(_key: K, _change: (value: V | undefined) => V): V {
    throw this.#keptUp('update')
  }

  override delete(_key: K): boolean {
    throw this.#keptUp('delete')
  }

  #keepUp(key: K): void {
    const { left, right } = this.#join
    const after = this.#made(left.find(key), right.find(key))
    const before = this.find(key)
    if (before === undefined && after === undefined) return
    if (after === undefined) super.delete(key)
    else super.set(key, after)
    this.#result?.changed(writingEvent(this.storage, this.keyShape.where), key, { before, after })
  }

  #made(left: L | undefined, right: R | undefined): V | undefined {
    const { kind, join } = this.#join
    if (left === undefined && (kind !== 'outer' || right === undefined)) return undefined
    if (right === undefined && kind === 'inner') return undefined
    const made = join(left, right)
    if (!(made instanceof Promise)) return made ?? undefined
    made.catch(() => {})
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The function of ${this.keyShape.where} gave a promise: it makes a row at once, in the event that changes it.`,
    )
  }

  #keptUp(method: string): MillraceError {
    const [left, right] = this.besides
    return new MillraceError(
      'TABLE_IS_JOIN',
      `${method} was called on ${this.keyShape.where}, whose rows are made of those of tables "${left?.name}" and "${right?.name}".`,
    )
  }
}

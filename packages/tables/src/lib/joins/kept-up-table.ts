import { MillraceError } from '@millrace/core'
import { type StateContext, writingEvent } from '@millrace/state'
import type { StateDefinition } from '@millrace/worker'
import type { TableDefinition } from '../options.ts'
import { Table } from '../table.ts'
import type { ViewDeclarations } from '../windows/views.ts'
import { type ChangeTopic, ResultTopic } from './result-topic.ts'

export interface KeptUpOptions<K, V> {
  /** The tables from which it is computed. */
  readonly sources: readonly StateDefinition[]
  readonly to: ChangeTopic<K, V> | undefined
  readonly views: ViewDeclarations
}

/** A table that is computed from other tables: no agent may write it. */
export class KeptUpTable<K, V> extends Table<K, V> {
  readonly #sources: readonly StateDefinition[]
  readonly #result: ResultTopic<K, V> | undefined

  constructor(context: StateContext, definition: TableDefinition<K, V>, { sources, to, views }: KeptUpOptions<K, V>) {
    super(context, definition, views)
    this.#sources = sources
    this.#result = to === undefined ? undefined : new ResultTopic(to)
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

  /** Sets the row of a key, or deletes it, in the event that changes one of the tables. */
  protected put(key: K, after: V | undefined): void {
    const before = this.find(key)
    if (before === undefined && after === undefined) return
    if (after === undefined) super.delete(key)
    else super.set(key, after)
    this.#result?.changed(writingEvent(this.storage, this.keyShape.where), key, { before, after })
  }

  /** What the function of the join has made. */
  protected made(value: V | undefined): V | undefined {
    if (!(value instanceof Promise)) return value ?? undefined
    value.catch(() => {})
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The function of ${this.keyShape.where} gave a promise: it makes a row at once, in the event that changes it.`,
    )
  }

  #keptUp(method: string): MillraceError {
    const names = this.#sources.map(({ name }) => `"${name}"`).join(' and ')
    return new MillraceError(
      'TABLE_IS_JOIN',
      `${method} was called on ${this.keyShape.where}, whose rows are made of those of tables ${names}.`,
    )
  }
}

import { type Codec, type CodecSpec, resolveCodec, validateName } from '@millrace/core'
import type { StateContext } from '@millrace/state'
import type { ViewDeclarations } from '../windows/views.ts'
import { checkJoin, type JoinTablesOptions, type LeftRow, type RightRow, type TablesJoinKind } from './join-options.ts'
import { TableOfTables, type WatchedTable } from './table-of-tables.ts'

/** A table that is joined with another one: what `app.table` and `app.joinTables` make. */
export interface JoinedSide<K, V> extends WatchedTable<K, V> {
  readonly keySpec: CodecSpec
  readonly keyCodec: string
  readonly codecOfKeys: Codec<K>
  readonly isGlobal: false
  readonly declaredPartitions: number | undefined
}

export interface JoinedSides<K, L, R> {
  readonly name: string
  readonly left: JoinedSide<K, L>
  readonly right: JoinedSide<K, R>
  readonly views: ViewDeclarations
}

/** What `app.joinTables` makes. */
export function joinTables<K, L, R, V, J extends TablesJoinKind>(
  context: StateContext,
  { name, left, right, views }: JoinedSides<K, L, R>,
  options: JoinTablesOptions<K, V, J>,
  fn: (left: LeftRow<L, J>, right: RightRow<R, J>) => V | undefined,
): TableOfTables<K, L, R, V> {
  const kind = checkJoin(name, { left, right }, options, fn)
  const where = `table "${validateName('table', name)}"`
  const { value = 'json', to, standbys, help } = options
  // Whatever the codec is, it gets what `fn` makes.
  const valueCodec = resolveCodec(value, 'row', where) as Codec<never, unknown> as Codec<V>
  return new TableOfTables<K, L, R, V>(
    context,
    {
      name,
      where,
      keySpec: left.keySpec,
      keyCodec: left.codecOfKeys,
      valueSpec: value,
      valueCodec: valueCodec,
      partitions: undefined,
      sizedAs: left.sizedAs ?? right.sizedAs,
      standbys,
      partitionBy: undefined,
      help,
      fallback: undefined,
      migrate: undefined,
      partitioner: 'key',
    },
    // The kind says which of them can be missing.
    { left, right, kind, to, join: (a, b) => fn(a as LeftRow<L, J>, b as RightRow<R, J>) },
    views,
  )
}

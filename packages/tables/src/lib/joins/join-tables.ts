import { type Codec, type CodecSpec, resolveCodec, validateName } from '@millrace/core'
import { changelogOf, type StateContext } from '@millrace/state'
import type { ViewDeclarations } from '../windows/views.ts'
import type { TableDefinition } from '../options.ts'
import { type ReferredTable, TableByForeignKey } from './foreign-key.ts'
import {
  checkForeignKey,
  checkJoin,
  type JoinTablesOptions,
  type LeftRow,
  type RightRow,
  type TablesJoinKind,
} from './join-options.ts'
import { TableOfTables, type WatchedTable } from './table-of-tables.ts'

/** A side of a join: a table made by `app.table` or `app.joinTables`. */
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

/** The result of `app.joinTables`. */
export function joinTables<K, L, R, V, J extends TablesJoinKind>(
  context: StateContext,
  { name, left, right, views }: JoinedSides<K, L, R>,
  options: JoinTablesOptions<K, V, J>,
  fn: (left: LeftRow<L, J>, right: RightRow<R, J>) => V | undefined,
): TableOfTables<K, L, R, V> {
  const kind = checkJoin(name, { left, right }, options, fn)
  return new TableOfTables<K, L, R, V>(
    context,
    resultRows<K, V>(context, { name, left }, { ...options, sizedAs: left.sizedAs ?? right.sizedAs }),
    // The kind determines which side may be missing.
    { left, right, kind, to: options.to, join: (a, b) => fn(a as LeftRow<L, J>, b as RightRow<R, J>) },
    views,
  )
}

/** The same by foreign key: a key in the rows of the left table. */
export function joinByForeignKey<K, RK, L, R, V, J extends 'inner' | 'left'>(
  context: StateContext,
  {
    name,
    left,
    right,
    views,
  }: Pick<JoinedSides<K, L, R>, 'name' | 'left' | 'views'> & { readonly right: ReferredTable<RK, R> },
  options: JoinTablesOptions<K, V, J> & { readonly on: (left: L) => RK | null | undefined },
  fn: (left: L, right: RightRow<R, J>) => V | undefined,
): TableByForeignKey<K, RK, L, R, V> {
  const { on, ...rest } = options
  const kind = checkForeignKey(name, { left, right, on }, rest, fn)
  return new TableByForeignKey<K, RK, L, R, V>(
    context,
    resultRows<K, V>(context, { name, left }, { ...rest, sizedAs: left.sizedAs }),
    { left, right, kind, on, to: options.to, join: (a, b) => fn(a, b as RightRow<R, J>) },
    views,
  )
}

function resultRows<K, V>(
  { appId, codecs }: StateContext,
  { name, left }: Pick<JoinedSides<K, unknown, unknown>, 'name' | 'left'>,
  options: JoinTablesOptions<K, V, TablesJoinKind> & { readonly sizedAs: readonly string[] | undefined },
): TableDefinition<K, V> {
  const where = `table "${validateName('table', name)}"`
  const { value: declared = 'json', sizedAs, standbys, help } = options
  const { topic } = changelogOf(appId, name)
  const value = codecs?.bind(declared, { topic, part: 'value', canonical: false, isWritten: true }) ?? declared
  return {
    name,
    where,
    keySpec: left.keySpec,
    keyCodec: left.codecOfKeys,
    valueSpec: value,
    // Whatever the codec is, it gets what the function of the join makes.
    valueCodec: resolveCodec(value, 'row', where) as Codec<never, unknown> as Codec<V>,
    partitions: left.partitions,
    sizedAs,
    standbys,
    partitionBy: undefined,
    help,
    fallback: undefined,
    migrate: undefined,
    partitioner: 'key',
  }
}

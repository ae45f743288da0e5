import { checkOptions, type CodecSpec, MillraceError, type OptionNames } from '@millrace/core'
import type { ChangeTopic } from './result-topic.ts'

/** `'inner'`: keys that both tables have. `'left'`: all keys of the left table. `'outer'`: keys that either table has. */
export type TablesJoinKind = 'inner' | 'left' | 'outer'

/** The left value that the function of a join gets. */
export type LeftRow<V, J extends TablesJoinKind> = J extends 'outer' ? V | undefined : V
/** The right value that the function of a join gets. */
export type RightRow<V, J extends TablesJoinKind> = J extends 'inner' ? V : V | undefined

/** Options of a join of two tables. */
export interface JoinTablesOptions<K, V, J extends TablesJoinKind> {
  /** Default `'inner'`. */
  readonly kind?: J | undefined
  /** How the results are encoded. Default `'json'`. */
  readonly value?: CodecSpec | undefined
  /** Receives each change, one record for each event and key; a tombstone if a result is deleted. */
  readonly to?: ChangeTopic<K, V> | undefined
  /** Warm copies of each partition to keep on other workers. Default: the setting `standbys`. */
  readonly standbys?: number | undefined
  /** One line for listings. */
  readonly help?: string | undefined
}

const OPTIONS: OptionNames<JoinTablesOptions<unknown, unknown, TablesJoinKind>> = {
  kind: true,
  value: true,
  to: true,
  standbys: true,
  help: true,
}

/** The properties in which the two tables of a join must agree. */
export interface JoinSide {
  readonly name: string
  readonly keyCodec: string
  readonly isGlobal: boolean
}

/** Throws `DEFINITION_INVALID`, `KEY_CODEC_DIFFERS`. Returns the kind. */
export function checkJoin(
  name: string,
  { left, right }: { readonly left: JoinSide; readonly right: JoinSide },
  options: JoinTablesOptions<never, never, TablesJoinKind>,
  join: unknown,
): TablesJoinKind {
  const where = `joinTables("${name}")`
  const kind = checkSides(where, { left, right }, options, join)
  if (left.keyCodec !== right.keyCodec)
    throw new MillraceError(
      'KEY_CODEC_DIFFERS',
      `${where}: keys of table "${left.name}" are ${left.keyCodec}, and those of table "${right.name}" are ${right.keyCodec}.`,
    )
  return kind
}

/** The same for a join by foreign key. Throws `DEFINITION_INVALID`. */
export function checkForeignKey(
  name: string,
  { left, right, on }: { readonly left: JoinSide; readonly right: JoinSide; readonly on: unknown },
  options: JoinTablesOptions<never, never, TablesJoinKind>,
  join: unknown,
): 'inner' | 'left' {
  const where = `joinTables("${name}")`
  const kind = checkSides(where, { left, right }, options, join)
  if (typeof on !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `on of ${where} takes a function of a row of the left table.`)
  if (kind !== 'outer') return kind
  throw new MillraceError(
    'DEFINITION_INVALID',
    `kind of ${where} is 'outer': with on, a row of the right table belongs to no key of the left one.`,
  )
}

function checkSides(
  where: string,
  { left, right }: { readonly left: JoinSide; readonly right: JoinSide },
  options: JoinTablesOptions<never, never, TablesJoinKind>,
  join: unknown,
): TablesJoinKind {
  checkOptions(where, options, OPTIONS)
  for (const side of [left, right]) assertTable(where, side)
  const { kind = 'inner', to } = options
  if (kind !== 'inner' && kind !== 'left' && kind !== 'outer')
    throw new MillraceError(
      'DEFINITION_INVALID',
      `kind of ${where} is ${JSON.stringify(kind)}; it takes 'inner', 'left' or 'outer'.`,
    )
  if (typeof join !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `${where} needs a function of both rows.`)
  if (to !== undefined && (typeof to !== 'object' || to === null || typeof to.name !== 'string'))
    throw new MillraceError('DEFINITION_INVALID', `to of ${where} takes a topic of the app.`)
  return kind
}

function assertTable(where: string, side: unknown): void {
  if (typeof side === 'object' && side !== null && 'isGlobal' in side && side.isGlobal === false) return
  const name =
    typeof side === 'object' && side !== null && 'name' in side ? `"${String(side.name)}"` : 'what it was given'
  throw new MillraceError(
    'DEFINITION_INVALID',
    `${where} takes two tables of app.table; ${name} is none. A global table is joined with a stream.`,
  )
}

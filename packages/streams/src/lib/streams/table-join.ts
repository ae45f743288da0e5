import { checkOptions, type CodecSpec, MillraceError, type OptionNames, resolveCodec } from '@millrace/core'
import type { StreamEvent } from '../events/stream-event.ts'
import type { JoinedPartitions, JoinedTable, TableJoinKind, TableJoinOptions } from '../stream-joins.ts'
import type { HandlerRun } from './handler-run.ts'
import { type Branch, isPromiseLike, type StreamStep, type StepResult } from './stream-step.ts'

type AnyJoinedTable = JoinedTable<unknown, unknown>
type Options = TableJoinOptions<never, unknown, TableJoinKind>
type Join = (value: never, row: never) => unknown

const OPTIONS: OptionNames<TableJoinOptions<never, unknown, TableJoinKind>> = {
  kind: true,
  on: true,
  name: true,
  value: true,
}

export interface TableJoinSpec {
  readonly table: AnyJoinedTable
  readonly options: Options
  readonly join: Join
}

/** The branches of a stream joined with a table. Throws `DEFINITION_INVALID`, `KEY_CODEC_DIFFERS`, `TOPOLOGY_LATE`. */
export function joinTable(
  run: HandlerRun,
  branches: readonly Branch[],
  { table, options, join }: TableJoinSpec,
): readonly Branch[] {
  const where = `join() of agent "${run.agent}" with table "${table.name}"`
  checkOptions(where, options, OPTIONS)
  const { kind = 'inner', on } = options
  if (kind !== 'inner' && kind !== 'left')
    throw new MillraceError(
      'DEFINITION_INVALID',
      `kind of ${where} is ${JSON.stringify(kind)}; it takes 'inner' or 'left'.`,
    )
  if (typeof join !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `${where} needs a function of value and row.`)
  if (on !== undefined && typeof on !== 'function')
    throw new MillraceError(
      'DEFINITION_INVALID',
      `on of ${where} is ${JSON.stringify(on)}; it takes a function of a value.`,
    )
  const given = on as ((value: unknown) => unknown) | undefined
  if (!isPartitioned(table)) return withStep(branches, joinStep({ table, kind, join, on: given }))
  const moved = moveTo(run, branches, { table, where, options: { ...options, kind }, on: given })
  run.steps.readsTable(moved, table, where)
  return withStep(moved, joinStep({ table, kind, join, on: undefined }))
}

export function isTable(joined: object): joined is AnyJoinedTable {
  return 'isGlobal' in joined && 'find' in joined
}

interface MoveOptions {
  readonly table: JoinedPartitions<unknown, unknown>
  readonly options: Options
  readonly on: ((value: unknown) => unknown) | undefined
  /** For messages. */
  readonly where: string
}

/** Brings events to the partitions of their rows, if they are elsewhere. */
function moveTo(
  run: HandlerRun,
  branches: readonly Branch[],
  { table, options, on, where }: MoveOptions,
): readonly Branch[] {
  const { name, kind, value } = options
  if (on === undefined && !branches.some(({ source }) => differs(source.keys?.partitions, table.declaredPartitions))) {
    for (const { source } of branches) assertSameKeys(source.keys?.spec, table, where)
    return branches
  }
  const source = run.steps.regroup(branches, {
    keyOf: (given, event) => (on === undefined ? event.key : on(given)),
    name: name ?? `join-${table.name}`,
    key: table.keySpec,
    value,
    partitions: table.partitions,
    sizedAs: table.sizedAs,
    withoutKey: kind === 'left' ? 'send' : 'drop',
    why: `to join table "${table.name}"`,
  })
  return [{ source, steps: [] }]
}

interface JoinStepOptions {
  readonly table: AnyJoinedTable
  readonly kind: TableJoinKind
  readonly join: Join
  readonly on: ((value: unknown) => unknown) | undefined
}

function joinStep({ table, kind, join, on }: JoinStepOptions): StreamStep {
  return {
    changesValue: true,
    run(event) {
      const value = event.current
      const key = on === undefined ? keyOf(event) : on(value)
      const row = key === undefined || key === null ? undefined : table.find(key)
      if (row === undefined && kind === 'inner') return dropped(event)
      const joined = join(value as never, row as never)
      return isPromiseLike(joined)
        ? Promise.resolve(joined).then((result) => joinedTo(event, result))
        : joinedTo(event, joined)
    },
  }
}

/** A record without a key has no row, whatever its topic was declared with. */
function keyOf(event: StreamEvent): unknown {
  return event.inFlight.record.key === null ? undefined : event.key
}

function joinedTo(event: StreamEvent, value: unknown): StepResult {
  event.current = value
  event.changed = true
  return event
}

function dropped(event: StreamEvent): undefined {
  event.done()
  return undefined
}

function withStep(branches: readonly Branch[], step: StreamStep): readonly Branch[] {
  return branches.map(({ source, steps }) => ({ source, steps: [...steps, step] }))
}

function isPartitioned(table: AnyJoinedTable): table is JoinedPartitions<unknown, unknown> {
  return !table.isGlobal
}

function assertSameKeys(spec: CodecSpec | undefined, table: AnyJoinedTable, where: string): void {
  if (spec === undefined) return
  const { name } = resolveCodec(spec, 'key', where)
  if (name === table.keyCodec) return
  throw new MillraceError(
    'KEY_CODEC_DIFFERS',
    `${where}: its events have keys that are ${name}, and those of the table are ${table.keyCodec}. Give on the key of the row.`,
  )
}

function differs(a: number | undefined, b: number | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b
}

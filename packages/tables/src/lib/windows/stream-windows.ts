import { type CodecSpec, MillraceError, resolveCodec, validateName } from '@millrace/core'
import { changelogOf, type StateContext } from '@millrace/state'
import { readWindows, type WindowKind, type WindowOptions } from './window-options.ts'
import { WindowedTable } from './windowed-table.ts'

/** The windows of an agent's stream. */
export interface StreamWindowsSpec {
  readonly agent: string
  readonly kind: WindowKind<unknown>
  readonly options: Omit<WindowOptions<unknown, unknown>, 'onWindowClose'> & { readonly value?: CodecSpec }
  readonly key: CodecSpec
  /** As `sizedAs` of `StateDefinition`. */
  readonly topics: readonly string[]
}

/** The tables of an app, including those of its streams. */
export interface AppTables {
  readonly tables: { has(name: string): boolean; set(name: string, table: WindowedTable<unknown, unknown>): unknown }
  readonly globalTables: { has(name: string): boolean }
}

/**
 * The windowed tables of an app's streams. Agents declare them each time their handlers start, in each worker; a table that is
 * declared already is returned.
 */
export class StreamWindows {
  readonly #context: StateContext
  readonly #app: AppTables
  /** By name. */
  readonly #opened = new Map<string, { readonly agent: string; readonly table: WindowedTable<unknown, unknown> }>()

  constructor(context: StateContext, app: AppTables) {
    this.#context = context
    this.#app = app
  }

  /** The table of these windows. Throws `WINDOW_INVALID`, `NAME_TAKEN`, `NAME_INVALID`, `CODEC_UNKNOWN`. */
  open({ agent, kind, options, key, topics }: StreamWindowsSpec): WindowedTable<unknown, unknown> {
    const { value = 'json', ...windowOptions } = options
    const windows = readWindows({ name: agent, where: `agent "${agent}"` }, kind, windowOptions)
    const { name } = windows
    const known = this.#opened.get(name)
    if (known?.agent === agent) return known.table
    const { tables, globalTables } = this.#app
    if (known !== undefined || tables.has(name) || globalTables.has(name))
      throw new MillraceError(
        'NAME_TAKEN',
        `The windows "${name}" of agent "${agent}" have the name of another table: set the option name.`,
      )
    const where = `table "${validateName('table', name)}"`
    const { codecs, appId } = this.#context
    const { topic } = changelogOf(appId, name)
    const valueSpec = codecs?.bind(value, { topic, part: 'value', canonical: false, isWritten: true }) ?? value
    const table = new WindowedTable<unknown, unknown>(
      this.#context,
      {
        name,
        where,
        keySpec: key,
        keyCodec: resolveCodec(key, 'key', where),
        valueSpec,
        valueCodec: resolveCodec(valueSpec, 'row', where),
        partitions: undefined,
        sizedAs: topics,
        standbys: undefined,
        partitionBy: undefined,
        help: `Windows of agent ${agent}`,
        fallback: undefined,
        migrate: undefined,
        partitioner: 'key',
      },
      windows,
    )
    this.#opened.set(name, { agent, table })
    tables.set(name, table)
    return table
  }
}

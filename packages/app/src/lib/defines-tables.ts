import type { CodecSpec } from '@millrace/core'
import {
  createGlobalTable,
  createSetTable,
  createTable,
  type Fallback,
  type GlobalSetTable,
  type GlobalTableOf,
  type GlobalTableOptions,
  type KeyOf,
  type SetTable,
  type SetTableOptions,
  type TableOf,
  type TableOptions,
  type ValueOf,
} from '@millrace/tables'
import type { AppParts } from './app-parts.ts'
import { DefinesStreams } from './defines-streams.ts'

/** What an app defines of tables, over what it defines of streams. */
export class DefinesTables extends DefinesStreams {
  readonly #parts: Pick<AppParts, 'definitions' | 'tables'>

  constructor(parts: Pick<AppParts, 'definitions' | 'streams' | 'tables'>) {
    super(parts)
    this.#parts = parts
  }

  /**
   * Declares a table: keyed state, partitioned as its source topics, kept in the changelog `{id}-{name}-changelog`.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `CODEC_UNKNOWN`, `DEFINITION_LATE`
   * @example
   * const counts = app.table('word_counts', { key: 'string', value: 'number', default: () => 0 })
   */
  table<const KS extends CodecSpec, const VS extends CodecSpec, D extends Fallback<VS> = undefined>(
    name: string,
    options: TableOptions<KS, VS, D>,
  ): TableOf<KS, VS, D> {
    const { definitions, tables } = this.#parts
    return definitions.add('table', { into: definitions.tables, name }, () =>
      createTable<KS, VS, D>(tables, name, options),
    )
  }

  /** Declares a table that every worker has whole. Throws as `table` does. */
  globalTable<const KS extends CodecSpec, const VS extends CodecSpec, D extends Fallback<VS> = undefined>(
    name: string,
    options: GlobalTableOptions<KS, VS, D>,
  ): GlobalTableOf<KS, VS, D> {
    const { definitions, tables } = this.#parts
    return definitions.add('global table', { into: definitions.globalTables, name }, () =>
      createGlobalTable<KS, VS, D>(tables, name, options),
    )
  }

  /** Declares a table of sets: `add`, `delete`, `has`, `values`. With `global: true` every worker has it whole. Throws as `table` does. */
  setTable<const KS extends CodecSpec, const ES extends CodecSpec>(
    name: string,
    options: SetTableOptions<KS, ES> & { readonly global: true },
  ): GlobalSetTable<KeyOf<KS>, ValueOf<ES>>
  setTable<const KS extends CodecSpec, const ES extends CodecSpec>(
    name: string,
    options: SetTableOptions<KS, ES> & { readonly global?: false },
  ): SetTable<KeyOf<KS>, ValueOf<ES>>
  setTable<const KS extends CodecSpec, const ES extends CodecSpec>(
    name: string,
    options: SetTableOptions<KS, ES> & { readonly global?: boolean },
  ): SetTable<KeyOf<KS>, ValueOf<ES>> | GlobalSetTable<KeyOf<KS>, ValueOf<ES>> {
    const { definitions, tables } = this.#parts
    return options.global === true
      ? definitions.add('set table', { into: definitions.globalTables, name }, () =>
          createSetTable<KS, ES>(tables, name, { ...options, global: true }),
        )
      : definitions.add('set table', { into: definitions.tables, name }, () =>
          createSetTable<KS, ES>(tables, name, { ...options, global: false }),
        )
  }
}

import type { CodecSpec, OptionNames } from '@millrace/core'
import { KEYED_OPTIONS, readOptions } from '../tables/keyed-options.ts'
import type { TableOptions } from '../tables/table-options.ts'
import type { Fallback, GivenOf, KeyOf, ValueOf } from '../tables/table-types.ts'
import type { TablesDeps } from '../tables/tables-deps.ts'
import { GlobalTable } from './global-table.ts'

/** How a global table is declared. */
export interface GlobalTableOptions<
  KS extends CodecSpec,
  VS extends CodecSpec,
  D extends Fallback<VS> = undefined,
> extends Omit<TableOptions<KS, VS, D>, 'partitioner'> {
  /** The topic that is the table; default `{app id}-{name}-global`, compacted. */
  readonly topic?: string
}

/** The type of the table that `createGlobalTable` makes. */
export type GlobalTableOf<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS>> = GlobalTable<
  KeyOf<KS>,
  ValueOf<VS>,
  GivenOf<VS, D>
>

const GLOBAL_OPTIONS: OptionNames<GlobalTableOptions<CodecSpec, CodecSpec>> = {
  ...KEYED_OPTIONS,
  default: true,
  migrate: true,
  topic: true,
}

/**
 * Declares a global table. What `app.globalTable` calls; the tables of an app are given to `globalTablesPart`.
 *
 * @throws `CODEC_UNKNOWN`, `NAME_INVALID`, `DEFINITION_INVALID`
 */
export function createGlobalTable<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS> = undefined>(
  deps: TablesDeps,
  name: string,
  options: GlobalTableOptions<KS, VS, D>,
): GlobalTableOf<KS, VS, D> {
  return new GlobalTable<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(deps, {
    ...readOptions<KS, VS>({ kind: 'global table', name }, options, GLOBAL_OPTIONS),
    topic: options.topic,
    fallback: options.default,
    migrate: options.migrate,
  })
}

import type { CodecSpec, OptionNames } from '@millrace/core'
import type { KeyOf, Fallback, GivenOf, ValueOf } from './table-types.ts'
import { KEYED_OPTIONS, readOptions } from './keyed-options.ts'
import { Table } from './table.ts'
import type { TableOptions } from './table-options.ts'
import type { TablesDeps } from './tables-deps.ts'

/** The type of the table that `createTable` makes. */
export type TableOf<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS>> = Table<
  KeyOf<KS>,
  ValueOf<VS>,
  GivenOf<VS, D>
>

const TABLE_OPTIONS: OptionNames<TableOptions<CodecSpec, CodecSpec>> = {
  ...KEYED_OPTIONS,
  default: true,
  partitioner: true,
  migrate: true,
}

/**
 * Declares a table. What `app.table` calls.
 *
 * @throws `CODEC_UNKNOWN`, `NAME_INVALID`, `DEFINITION_INVALID`
 */
export function createTable<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS> = undefined>(
  deps: TablesDeps,
  name: string,
  options: TableOptions<KS, VS, D>,
): TableOf<KS, VS, D> {
  return new Table<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(deps, {
    ...readOptions<KS, VS>({ kind: 'table', name }, options, TABLE_OPTIONS),
    fallback: options.default,
    partitioner: options.partitioner ?? 'key',
    migrate: options.migrate,
  })
}

import type { CodecSpec } from '@millrace/core'
import type { KeyOf, Fallback, GivenOf, ValueOf } from './table-types.ts'
import { readOptions } from './keyed-options.ts'
import { Table } from './table.ts'
import type { TableOptions } from './table-options.ts'
import type { TablesDeps } from './tables-deps.ts'

/** The type of the table that `createTable` makes. */
export type TableOf<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS>> = Table<
  KeyOf<KS>,
  ValueOf<VS>,
  GivenOf<VS, D>
>

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
    ...readOptions<KS, VS>({ kind: 'table', name }, options),
    fallback: options.default,
    partitioner: options.partitioner ?? 'key',
    migrate: options.migrate,
  })
}

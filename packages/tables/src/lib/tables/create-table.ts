import { validateName, type CodecSpec } from '@millrace/core'
import type { KeyOf, Fallback, GivenOf, ValueOf } from './table-types.ts'
import { checkStandbys } from './check-standbys.ts'
import { roundTripCodec } from './round-trip-codec.ts'
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
  validateName('table', name)
  const where = `table "${name}"`
  return new Table<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(deps, {
    name,
    keySpec: options.key,
    valueSpec: options.value,
    keyCodec: roundTripCodec<KS>(options.key, 'key', where),
    valueCodec: roundTripCodec<VS>(options.value, 'value', where),
    fallback: options.default,
    partitions: options.partitions,
    standbys: checkStandbys(where, options.standbys),
    partitionBy: options.partitionBy,
    partitioner: options.partitioner ?? 'key',
    help: options.help,
    migrate: options.migrate,
  })
}

import { validateName, type CodecSpec } from '@millrace/core'
import { roundTripCodec } from '../tables/round-trip-codec.ts'
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

/**
 * Declares a global table. What `app.globalTable` calls; the tables of an app are given to `globalTablesPart`.
 *
 * @throws `CODEC_UNKNOWN`, `NAME_INVALID`
 */
export function createGlobalTable<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS> = undefined>(
  deps: TablesDeps,
  name: string,
  options: GlobalTableOptions<KS, VS, D>,
): GlobalTableOf<KS, VS, D> {
  validateName('table', name)
  const where = `global table "${name}"`
  return new GlobalTable<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(deps, {
    name,
    topic: options.topic,
    keySpec: options.key,
    valueSpec: options.value,
    keyCodec: roundTripCodec<KS>(options.key, 'key', where),
    valueCodec: roundTripCodec<VS>(options.value, 'value', where),
    fallback: options.default,
    partitions: options.partitions,
    partitionBy: options.partitionBy,
    help: options.help,
    migrate: options.migrate,
  })
}

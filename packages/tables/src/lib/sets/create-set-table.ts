import { MillraceError, validateName, type CodecSpec } from '@millrace/core'
import type { PartitionKey } from '../keys/partition-bytes.ts'
import { checkStandbys } from '../tables/check-standbys.ts'
import { roundTripCodec } from '../tables/round-trip-codec.ts'
import type { KeyOf, RoundTrip, ValueOf } from '../tables/table-types.ts'
import type { TablesDeps } from '../tables/tables-deps.ts'
import { GlobalSetTable } from './global-set-table.ts'
import { SetTable } from './set-table.ts'

/** How a set table is declared. */
export interface SetTableOptions<KS extends CodecSpec, ES extends CodecSpec> {
  /** Must encode keys as the source topic does. */
  readonly key: KS & RoundTrip<KS>
  /** The elements. Two are the same when their bytes are. */
  readonly value: ES & RoundTrip<ES>
  /** Partition count, as for tables. */
  readonly partitions?: number
  /** Warm copies, as for tables; global sets are everywhere anyhow. */
  readonly standbys?: number
  /** As for tables. */
  readonly partitionBy?: (key: KeyOf<KS>) => PartitionKey
  /** As for tables; global sets have none. */
  readonly partitioner?: 'key' | 'source'
  /** Every worker has a copy, as of a global table. Default false. */
  readonly global?: boolean
  readonly help?: string
}

/**
 * Declares a set table, or with `global: true` one that every worker has whole. What `app.setTable` calls.
 *
 * @throws `CODEC_UNKNOWN`, `NAME_INVALID`
 */
export function createSetTable<KS extends CodecSpec, ES extends CodecSpec>(
  deps: TablesDeps,
  name: string,
  options: SetTableOptions<KS, ES> & { readonly global: true },
): GlobalSetTable<KeyOf<KS>, ValueOf<ES>>
export function createSetTable<KS extends CodecSpec, ES extends CodecSpec>(
  deps: TablesDeps,
  name: string,
  options: SetTableOptions<KS, ES> & { readonly global?: false },
): SetTable<KeyOf<KS>, ValueOf<ES>>
export function createSetTable<KS extends CodecSpec, ES extends CodecSpec>(
  deps: TablesDeps,
  name: string,
  options: SetTableOptions<KS, ES>,
): SetTable<KeyOf<KS>, ValueOf<ES>> | GlobalSetTable<KeyOf<KS>, ValueOf<ES>> {
  validateName('table', name)
  const where = `set table "${name}"`
  const definition = {
    name,
    keySpec: options.key,
    keyCodec: roundTripCodec<KS>(options.key, 'key', where),
    elementCodec: roundTripCodec<ES>(options.value, 'element', where),
    partitions: options.partitions,
    standbys: checkStandbys(where, options.standbys),
    partitionBy: options.partitionBy,
    partitioner: options.partitioner ?? 'key',
    help: options.help,
  }
  if (options.global !== true) return new SetTable(deps, definition)
  if (options.partitioner === 'source') {
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Global ${where} has partitioner 'source', but each of its keys needs one partition.`,
    )
  }
  return new GlobalSetTable(deps, definition)
}

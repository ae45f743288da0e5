import { MillraceError, type CodecSpec, type OptionNames } from '@millrace/core'
import { KEYED_OPTIONS, readOptions, type KeyedOptions } from '../tables/keyed-options.ts'
import type { KeyOf, ValueOf } from '../tables/table-types.ts'
import type { TablesDeps } from '../tables/tables-deps.ts'
import { GlobalSetTable } from './global-set-table.ts'
import { SetTable } from './set-table.ts'

/** How a set table is declared. Its values are the elements: two are the same when their bytes are. */
export interface SetTableOptions<KS extends CodecSpec, ES extends CodecSpec> extends KeyedOptions<KS, ES> {
  /** As for tables; global sets have none. */
  readonly partitioner?: 'key' | 'source'
  /** Every worker has a copy, as of a global table. Default false. */
  readonly global?: boolean
}

const SET_OPTIONS: OptionNames<SetTableOptions<CodecSpec, CodecSpec>> = {
  ...KEYED_OPTIONS,
  partitioner: true,
  global: true,
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
  const partitioner = options?.partitioner ?? 'key'
  const definition = { ...readOptions<KS, ES>({ kind: 'set table', name }, options, SET_OPTIONS), partitioner }
  if (options.global !== true) return new SetTable(deps, definition)
  if (partitioner === 'source') {
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Global set table "${name}" has partitioner 'source', but each of its keys needs one partition.`,
    )
  }
  return new GlobalSetTable(deps, definition)
}

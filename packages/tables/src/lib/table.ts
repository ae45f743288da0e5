import type { CodecSpec, OptionNames } from '@millrace/core'
import type { OpenState, OpenStateOptions, RoutedTable, StateDefinition } from '@millrace/worker'
import { changelogOf, codecShape, TaskLocator, type CodecShapeOptions, type StateContext } from '@millrace/state'
import { KeyedMap } from './keyed-map.ts'
import type { ListedTable } from './keyed-table.ts'
import {
  KEYED_OPTIONS,
  readOptions,
  type Fallback,
  type GivenOf,
  type KeyedDefinition,
  type KeyOf,
  type TableOptions,
  type ValueOf,
} from './options.ts'

/** A table's options with the codecs resolved. */
export interface TableDefinition<K, V> extends KeyedDefinition<K, V>, CodecShapeOptions<K, V> {
  readonly fallback: (() => V) | undefined
  readonly partitioner: 'key' | 'source'
}

/**
 * A map from keys to values that agents write, split into partitions as its source topics are and kept in a changelog
 * topic. A descriptor: its rows are in the tasks of whatever workers run. Made by `createTable`.
 *
 * @example
 * const counts = app.table('word_counts', { key: 'string', value: 'number', default: () => 0 })
 */
export class Table<K, V, G extends V | undefined = V | undefined>
  extends KeyedMap<K, V, G>
  implements StateDefinition, RoutedTable
{
  readonly changelog: StateDefinition['changelog']
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  protected override readonly rows: TaskLocator<K, V>

  constructor(context: StateContext, definition: TableDefinition<K, V>) {
    const shape = codecShape(definition)
    super(context, shape, definition)
    this.changelog = changelogOf(context.appId, definition.name)
    this.partitions = definition.partitions
    this.standbys = definition.standbys
    this.rows = new TaskLocator({ definition: this, shape, context, anywhere: definition.partitioner === 'source' })
  }

  openState(context: OpenStateOptions): OpenState {
    return this.rows.open(context)
  }

  parseKey(text: string): Buffer {
    return this.keyShape.parse(text)
  }

  /** Throws `DEFINITION_INVALID` for a table with `partitioner: 'source'`. */
  partitionOf(key: Buffer): number | undefined {
    return this.rows.partitionOf(this.keyShape, key)
  }

  state(partition: number): OpenState | undefined {
    return this.rows.state(partition)
  }
}

/** A table or set table of any type. */
export interface AnyTable extends ListedTable, StateDefinition, RoutedTable {
  readonly name: string
}

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
  context: StateContext,
  name: string,
  options: TableOptions<KS, VS, D>,
): TableOf<KS, VS, D> {
  return new Table<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(context, {
    ...readOptions<KS, VS>({ kind: 'table', name }, options, TABLE_OPTIONS),
    fallback: options.default,
    partitioner: options.partitioner ?? 'key',
    migrate: options.migrate,
  })
}

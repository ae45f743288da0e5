import { type CodecSpec, MillraceError, type OptionNames } from '@millrace/core'
import type { TopicDeclaration } from '@millrace/worker'
import { codecShape, type StateContext } from '@millrace/state'
import { GlobalLocator, globalTopic } from './global/global-locator.ts'
import type { Replica, ReplicaContext, ReplicatedTable } from './global/global-replica.ts'
import { KeyedMap } from './keyed-map.ts'
import type { ListedTable } from './keyed-table.ts'
import {
  KEYED_OPTIONS,
  readOptions,
  type Fallback,
  type GivenOf,
  type KeyOf,
  type TableDefinition,
  type TableOptions,
  type ValueOf,
} from './options.ts'

/** How a global table is declared. */
export interface GlobalTableOptions<
  KS extends CodecSpec,
  VS extends CodecSpec,
  D extends Fallback<VS> = undefined,
> extends Omit<TableOptions<KS, VS, D>, 'partitioner' | 'from' | 'ttl' | 'clock'> {
  /** The topic that is the table; default `{app id}-{name}-global`, compacted. */
  readonly topic?: string
}

/** A global table's options with the codecs resolved. */
export interface GlobalTableDefinition<K, V> extends Omit<TableDefinition<K, V>, 'partitioner' | 'from'> {
  readonly topic: string | undefined
}

/**
 * A map of which every worker has a copy. Agents write it, each key from events of the key's partition; anything reads it.
 * The writer sees its writes at once, others when the topic has brought them. Made by `createGlobalTable`.
 *
 * @example
 * const rates = app.globalTable('rates', { key: 'string', value: 'number' })
 */
export class GlobalTable<K, V, G extends V | undefined = V | undefined>
  extends KeyedMap<K, V, G>
  implements ReplicatedTable
{
  readonly source: TopicDeclaration
  /** For joins: every worker has all rows, so that streams of any key can be joined with it, and not by time. */
  readonly isGlobal = true
  protected override readonly rows: GlobalLocator<K, V>

  constructor(context: StateContext, definition: GlobalTableDefinition<K, V>) {
    const shape = codecShape(definition)
    super(context, shape, definition)
    this.source = globalTopic(context.appId, definition)
    this.rows = new GlobalLocator({ table: this, shape, context })
  }

  openReplica(context: ReplicaContext): Promise<Replica> {
    return this.rows.openReplica(context)
  }

  /** A global table has no windows. Throws `WINDOW_GLOBAL`. */
  tumbling(..._windows: readonly unknown[]): never {
    throw noWindows(this.keyShape.where)
  }

  /** A global table has no windows. Throws `WINDOW_GLOBAL`. */
  hopping(..._windows: readonly unknown[]): never {
    throw noWindows(this.keyShape.where)
  }
}

/** Why a global table has no windows. */
function noWindows(where: string): MillraceError {
  return new MillraceError(
    'WINDOW_GLOBAL',
    `Windows of ${where}: every worker has all of its rows, from a topic that any of them writes, so that no event time holds for them.`,
  )
}

/** A global table or global set table of any type. */
export interface AnyGlobalTable extends ListedTable, ReplicatedTable {
  readonly name: string
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
  context: StateContext,
  name: string,
  options: GlobalTableOptions<KS, VS, D>,
): GlobalTableOf<KS, VS, D> {
  return new GlobalTable<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(context, {
    ...readOptions<KS, VS>({ kind: 'global table', name, context, topic: options?.topic }, options, GLOBAL_OPTIONS),
    topic: options.topic,
    fallback: options.default,
    migrate: options.migrate,
  })
}

import type { CodecSpec } from '@millrace/core'
import type { StateDefinition } from '@millrace/worker'

/** A table as a stream joins it. Implemented by tables, which streams do not know. */
export interface JoinedTable<K, V> {
  readonly name: string
  /** Every worker has all rows. */
  readonly isGlobal: boolean
  readonly keySpec: CodecSpec
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  /** The row of a key, as the current event sees it; `undefined` where there is none. */
  find(key: K): V | undefined
}

/** A table of which every worker has all rows. */
export interface JoinedGlobalTable<K, V> extends JoinedTable<K, V> {
  readonly isGlobal: true
}

/** A table of which each task has a part. */
export interface JoinedPartitions<K, V> extends JoinedTable<K, V>, StateDefinition {
  readonly name: string
  readonly isGlobal: false
  /** How many partitions it was declared with. */
  readonly declaredPartitions: number | undefined
  /** The agent that alone writes it, where the table is a topic. */
  readonly writer: string | undefined
}

/** `'inner'`: only events for which there is a row. `'left'`: all events. */
export type TableJoinKind = 'inner' | 'left'

/** Options of a join with a table. */
export interface TableJoinOptions<V, K, J extends TableJoinKind> {
  /** Default `'inner'`. */
  readonly kind?: J | undefined
  /**
   * The key of the row that belongs to a value; nothing where none does. Default: the key of the event. With a table that is
   * not global, the events go through a repartition topic to where their rows are.
   */
  readonly on?: ((value: V) => K | null | undefined) | undefined
  /** Part of the repartition topic's name. Default: `join-{table}`. */
  readonly name?: string | undefined
  /** How values are encoded in the repartition topic, if a step before has changed them. Default `'json'`. */
  readonly value?: CodecSpec | undefined
}

/** What the function of a join gets of the table. */
export type JoinedRow<V, J extends TableJoinKind> = J extends 'left' ? V | undefined : V

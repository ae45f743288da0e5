import type { CodecSpec } from '@millrace/core'
import type { KeyedOptions } from './keyed-options.ts'
import type { Fallback, KeyOf, ValueOf } from './table-types.ts'

/** How a table is declared. `D` is the type of `default`, which decides what `get` gives. */
export interface TableOptions<
  KS extends CodecSpec,
  VS extends CodecSpec,
  D extends Fallback<VS> = undefined,
> extends KeyedOptions<KS, VS> {
  /** Makes the value of a key that has none; called anew each time, so that no two keys share an object. */
  readonly default?: D
  /**
   * `'source'`: the source topic is filled by another partitioner than Kafka's default, so a key lives wherever its events
   * come from. Keys are then not checked against partitions, and requests for a key cannot be routed to a worker. Default `'key'`.
   */
  readonly partitioner?: 'key' | 'source'
  /** Reads a row that the value's codec refuses, for example one written by an older version of the app. */
  readonly migrate?: (raw: Buffer, key: KeyOf<KS>) => ValueOf<VS>
}

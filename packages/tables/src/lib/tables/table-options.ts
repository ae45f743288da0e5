import type { CodecSpec } from '@millrace/core'
import type { PartitionKey } from '../keys/partition-bytes.ts'
import type { Fallback, KeyOf, RoundTrip, ValueOf } from './table-types.ts'

/** How a table is declared. `D` is the type of `default`, which decides what `get` gives. */
export interface TableOptions<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS> = undefined> {
  /** Must encode keys as the source topic does. */
  readonly key: KS & RoundTrip<KS>
  readonly value: VS & RoundTrip<VS>
  /** Makes the value of a key that has none; called anew each time, so that no two keys share an object. */
  readonly default?: D
  /** Partition count; by default the existing changelog's, else that of the source topics. */
  readonly partitions?: number
  /** Warm copies of each partition to keep on other workers, so that one that takes it over need not read the whole changelog. Default: the setting `standbys`. */
  readonly standbys?: number
  /** The part of a composite key that is the key of the source topic: text, a number or bytes. */
  readonly partitionBy?: (key: KeyOf<KS>) => PartitionKey
  /**
   * `'source'`: the source topic is filled by another partitioner than Kafka's default, so a key lives wherever its events
   * come from. Keys are then not checked against partitions, and requests for a key cannot be routed to a worker. Default `'key'`.
   */
  readonly partitioner?: 'key' | 'source'
  /** One line for listings. */
  readonly help?: string
  /** Reads a row that the value's codec refuses, for example one written by an older version of the app. */
  readonly migrate?: (raw: Buffer, key: KeyOf<KS>) => ValueOf<VS>
}

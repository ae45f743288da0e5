import type { Codec, CodecSpec } from '@millrace/core'
import type { PartitionKey } from '../keys/partition-bytes.ts'

/** A set table's options with the codecs resolved. */
export interface SetTableDefinition<K, E> {
  readonly name: string
  readonly keySpec: CodecSpec
  readonly keyCodec: Codec<K>
  readonly elementCodec: Codec<E>
  readonly partitions: number | undefined
  readonly standbys?: number | undefined
  readonly partitionBy: ((key: K) => PartitionKey) | undefined
  readonly partitioner: 'key' | 'source'
  readonly help: string | undefined
}

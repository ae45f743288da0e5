import { MillraceError, partitionForKey, type Codec } from '@millrace/core'
import type { KeyShape } from '../keys/key-shape.ts'
import { TextKeys } from './text-keys.ts'

export interface RoutingOptions<K> {
  readonly keys: KeyShape<K>
  readonly codec: Codec<K>
  readonly partitions: () => number | undefined
  /** `partitioner: 'source'`: a key's partition cannot be told. */
  readonly anywhere: boolean
}

/** Finds the keys of a table from outside: text to key, key to partition. */
export class Routing<K> extends TextKeys<K> {
  readonly #partitions: () => number | undefined
  readonly #anywhere: boolean

  constructor({ keys, codec, partitions, anywhere }: RoutingOptions<K>) {
    super(keys, codec)
    this.#partitions = partitions
    this.#anywhere = anywhere
  }

  /** Throws `DEFINITION_INVALID` when it cannot be told. */
  partitionOf(key: Buffer): number | undefined {
    if (this.#anywhere) {
      throw new MillraceError(
        'DEFINITION_INVALID',
        `The partition of a key of ${this.keys.where} cannot be told: its partitioner is 'source'.`,
      )
    }
    const partitions = this.#partitions()
    return partitions === undefined
      ? undefined
      : partitionForKey(this.keys.home(this.keys.decode(key), key), partitions)
  }
}

import type { KeyedDefinition } from '../tables/keyed-options.ts'

/** A set table's options with the codecs resolved; its values are the elements. */
export interface SetTableDefinition<K, E> extends KeyedDefinition<K, E> {
  readonly partitioner: 'key' | 'source'
}

import type { TopicDeclaration } from '@millrace/core'
import { codecRowShape } from '../keyed/codec-row-shape.ts'
import { CodecKeyShape } from '../keys/codec-key-shape.ts'
import { TextKeys } from '../places/text-keys.ts'
import { KeyedMap } from '../tables/keyed-map.ts'
import type { TableDefinition } from '../tables/table.ts'
import type { TablesDeps } from '../tables/tables-deps.ts'
import { GlobalPlace } from './global-place.ts'
import { globalSource } from './global-source.ts'
import type { Replica, ReplicaContext, ReplicatedTable } from './replicated-table.ts'

/** A global table's options with the codecs resolved. */
export interface GlobalTableDefinition<K, V> extends Omit<TableDefinition<K, V>, 'partitioner'> {
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
  readonly name: string
  readonly help: string | undefined
  readonly source: TopicDeclaration
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  /** `Codec.name` of the values. */
  readonly valueCodec: string
  readonly #place: GlobalPlace<K, V>
  readonly #texts: TextKeys<K>

  constructor(deps: TablesDeps, definition: GlobalTableDefinition<K, V>) {
    const { name, keySpec, keyCodec, partitionBy } = definition
    const where = `global table "${name}"`
    const source = globalSource(deps, definition)
    const keys = new CodecKeyShape({ where, codec: keyCodec, plainText: keySpec === 'string', partitionBy })
    const shape = codecRowShape({
      keys,
      codec: definition.valueCodec,
      spec: definition.valueSpec,
      migrate: definition.migrate,
    })
    const place = new GlobalPlace({ name, topic: source.name, keys, shape, scope: deps.scope, workers: deps.workers })
    super({
      keys,
      scope: deps.scope,
      place,
      fallback: definition.fallback,
      encodeValue: (value) => definition.valueCodec.encode(value),
    })
    this.name = name
    this.help = definition.help
    this.source = source
    this.#place = place
    this.#texts = new TextKeys(keys, keyCodec)
    this.keyCodec = keyCodec.name
    this.valueCodec = definition.valueCodec.name
  }

  /** The value of a key typed as text, for pages and commands. Throws as `get` does, and `KEY_INVALID`. */
  lookup(text: string): G {
    return this.get(this.#texts.keyOf(text))
  }

  openReplica(context: ReplicaContext): Promise<Replica> {
    return this.#place.openReplica(context)
  }
}

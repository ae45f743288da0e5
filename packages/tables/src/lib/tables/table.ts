import type { OpenPart, PartContext, RoutedTable, TaskPart } from '@millrace/core'
import { codecRowShape } from '../keyed/codec-row-shape.ts'
import { CodecKeyShape } from '../keys/codec-key-shape.ts'
import { Routing } from '../places/routing.ts'
import { TaskPlace } from '../places/task-place.ts'
import { changelogOf } from './changelog-of.ts'
import { KeyedMap } from './keyed-map.ts'
import type { KeyedDefinition } from './keyed-options.ts'
import type { TablesDeps } from './tables-deps.ts'

/** A table's options with the codecs resolved. */
export interface TableDefinition<K, V> extends KeyedDefinition<K, V> {
  readonly fallback: (() => V) | undefined
  readonly partitioner: 'key' | 'source'
  readonly migrate: ((raw: Buffer, key: K) => V) | undefined
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
  implements TaskPart, RoutedTable
{
  readonly name: string
  readonly help: string | undefined
  readonly changelog: TaskPart['changelog']
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  /** `Codec.name` of the values. */
  readonly valueCodec: string
  readonly #place: TaskPlace<K, V>
  readonly #routing: Routing<K>

  constructor(deps: TablesDeps, definition: TableDefinition<K, V>) {
    const { name, keySpec, keyCodec, partitionBy, partitioner } = definition
    const anywhere = partitioner === 'source'
    const where = `table "${name}"`
    const keys = new CodecKeyShape({ where, codec: keyCodec, plainText: keySpec === 'string', partitionBy })
    const shape = codecRowShape({
      keys,
      codec: definition.valueCodec,
      spec: definition.valueSpec,
      migrate: definition.migrate,
    })
    const place = new TaskPlace({ keys, shape, scope: deps.scope, workers: deps.workers, anywhere })
    super({
      keys,
      scope: deps.scope,
      place,
      fallback: definition.fallback,
      encodeValue: (value) => definition.valueCodec.encode(value),
    })
    place.serve(this)
    this.name = name
    this.help = definition.help
    this.changelog = changelogOf(deps.appId, name)
    this.partitions = definition.partitions
    this.standbys = definition.standbys
    this.keyCodec = keyCodec.name
    this.valueCodec = definition.valueCodec.name
    this.#place = place
    this.#routing = new Routing({ keys, codec: keyCodec, anywhere, partitions: () => place.partitions() })
  }

  openPart(context: PartContext): OpenPart {
    return this.#place.openPart(context)
  }

  /**
   * A key typed as text: itself for text and bytes, a decimal number, JSON text otherwise.
   *
   * @throws `KEY_INVALID`
   */
  keyOf(text: string): K {
    return this.#routing.keyOf(text)
  }

  /** The value of a key typed as text, for pages and commands. Throws as `get` does, and `KEY_INVALID`. */
  lookup(text: string): G {
    return this.get(this.keyOf(text))
  }

  parseKey(text: string): Buffer {
    return this.#routing.parseKey(text)
  }

  /** Throws `DEFINITION_INVALID` for a table with `partitioner: 'source'`. */
  partitionOf(key: Buffer): number | undefined {
    return this.#routing.partitionOf(key)
  }

  state(partition: number): OpenPart | undefined {
    return this.#place.state(partition)
  }
}

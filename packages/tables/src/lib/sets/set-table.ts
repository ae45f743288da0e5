import type { OpenPart, PartContext, RoutedTable, TaskPart } from '@millrace/core'
import { CodecKeyShape } from '../keys/codec-key-shape.ts'
import { Routing } from '../places/routing.ts'
import { TaskPlace } from '../places/task-place.ts'
import { changelogOf } from '../tables/changelog-of.ts'
import type { TablesDeps } from '../tables/tables-deps.ts'
import { KeyedSet } from './keyed-set.ts'
import type { SetTableDefinition } from './set-definition.ts'
import { SetKeyShape, type SetMember } from './set-key-shape.ts'
import { setRowShape } from './set-row-shape.ts'

/**
 * A set of elements for each key, written by agents, kept as one changelog row per key and element, so that a large set
 * costs no more to change than a small one. Made by `createSetTable`.
 *
 * @example
 * const visitors = app.setTable('visitors', { key: 'string', value: 'string' })
 */
export class SetTable<K, E> extends KeyedSet<K, E> implements TaskPart, RoutedTable {
  readonly name: string
  readonly help: string | undefined
  readonly changelog: TaskPart['changelog']
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  /** `Codec.name` of the elements. */
  readonly valueCodec: string
  readonly #place: TaskPlace<SetMember<K, E>, true>
  readonly #routing: Routing<K>

  constructor(deps: TablesDeps, definition: SetTableDefinition<K, E>) {
    const { name, keySpec, keyCodec, valueCodec, partitionBy, partitioner } = definition
    const where = `set table "${name}"`
    const anywhere = partitioner === 'source'
    const keys = new CodecKeyShape({ where, codec: keyCodec, plainText: keySpec === 'string', partitionBy })
    const rowKeys = new SetKeyShape({ keys, elements: valueCodec })
    const place = new TaskPlace({
      keys: rowKeys,
      shape: setRowShape(rowKeys),
      scope: deps.scope,
      workers: deps.workers,
      anywhere,
    })
    super({ keys: rowKeys, scope: deps.scope, place })
    place.serve(this)
    this.name = name
    this.help = definition.help
    this.changelog = changelogOf(deps.appId, name)
    this.partitions = definition.partitions
    this.standbys = definition.standbys
    this.keyCodec = keyCodec.name
    this.valueCodec = valueCodec.name
    this.#place = place
    this.#routing = new Routing({ keys, codec: keyCodec, anywhere, partitions: () => place.partitions() })
  }

  openPart(context: PartContext): OpenPart {
    return this.#place.openPart(context)
  }

  /** A key typed as text. Throws `KEY_INVALID`. */
  keyOf(text: string): K {
    return this.#routing.keyOf(text)
  }

  /** The elements of a key typed as text, for pages and commands. Throws as `values` does, and `KEY_INVALID`. */
  lookup(text: string): readonly E[] {
    return this.values(this.keyOf(text))
  }

  parseKey(text: string): Buffer {
    return this.#routing.parseKey(text)
  }

  partitionOf(key: Buffer): number | undefined {
    return this.#routing.partitionOf(key)
  }

  state(partition: number): OpenPart | undefined {
    return this.#place.state(partition)
  }
}

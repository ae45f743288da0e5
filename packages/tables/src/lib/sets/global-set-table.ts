import type { TopicDeclaration } from '@millrace/core'
import { GlobalPlace } from '../global/global-place.ts'
import { globalSource } from '../global/global-source.ts'
import type { Replica, ReplicaContext, ReplicatedTable } from '../global/replicated-table.ts'
import { CodecKeyShape } from '../keys/codec-key-shape.ts'
import { TextKeys } from '../places/text-keys.ts'
import type { TablesDeps } from '../tables/tables-deps.ts'
import { KeyedSet } from './keyed-set.ts'
import type { SetTableDefinition } from './set-definition.ts'
import { SetKeyShape, type SetMember } from './set-key-shape.ts'
import { setRowShape } from './set-row-shape.ts'

/** A set table of which every worker has a copy: written and read as a global table is. */
export class GlobalSetTable<K, E> extends KeyedSet<K, E> implements ReplicatedTable {
  readonly name: string
  readonly help: string | undefined
  readonly source: TopicDeclaration
  /** `Codec.name` of the keys. */
  readonly keyCodec: string
  /** `Codec.name` of the elements. */
  readonly valueCodec: string
  readonly #place: GlobalPlace<SetMember<K, E>, true>
  readonly #texts: TextKeys<K>

  constructor(deps: TablesDeps, definition: SetTableDefinition<K, E>) {
    const { name, keySpec, keyCodec, valueCodec, partitionBy, partitions } = definition
    const where = `global set table "${name}"`
    const source = globalSource(deps, { name, topic: undefined, partitions, keyCodec })
    const inner = new CodecKeyShape({ where, codec: keyCodec, plainText: keySpec === 'string', partitionBy })
    const keys = new SetKeyShape({ keys: inner, elements: valueCodec })
    const { scope, workers } = deps
    const place = new GlobalPlace({ name, topic: source.name, keys, shape: setRowShape(keys), scope, workers })
    super({ keys, scope, place })
    this.name = name
    this.help = definition.help
    this.source = source
    this.#place = place
    this.#texts = new TextKeys(inner, keyCodec)
    this.keyCodec = keyCodec.name
    this.valueCodec = valueCodec.name
  }

  /** The elements of a key typed as text, for pages and commands. Throws as `values` does, and `KEY_INVALID`. */
  lookup(text: string): readonly E[] {
    return this.values(this.#texts.keyOf(text))
  }

  openReplica(context: ReplicaContext): Promise<Replica> {
    return this.#place.openReplica(context)
  }
}

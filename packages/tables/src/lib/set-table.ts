import { type CodecSpec, MillraceError, type OptionNames } from '@millrace/core'
import type { OpenState, OpenStateOptions, RoutedTable, StateDefinition, TopicDeclaration } from '@millrace/worker'
import { changelogOf, TaskLocator, type StateContext } from '@millrace/state'
import { GlobalLocator, globalTopic } from './global/global-locator.ts'
import type { Replica, ReplicaContext, ReplicatedTable } from './global/global-replica.ts'
import { KeyedSet } from './keyed-set.ts'
import {
  KEYED_OPTIONS,
  readOptions,
  type KeyedDefinition,
  type KeyedOptions,
  type KeyOf,
  type ValueOf,
} from './options.ts'
import { setShape, type SetMember } from './set-shape.ts'

/** How a set table is declared. Its values are the elements: two are the same when their bytes are. */
export interface SetTableOptions<KS extends CodecSpec, ES extends CodecSpec> extends KeyedOptions<KS, ES> {
  /** As for tables; global sets have none. */
  readonly partitioner?: 'key' | 'source'
  /** Every worker has a copy, as of a global table. Default false. */
  readonly global?: boolean
}

/** A set table's options with the codecs resolved; its values are the elements. */
export interface SetTableDefinition<K, E> extends KeyedDefinition<K, E> {
  readonly partitioner: 'key' | 'source'
}

/**
 * A set of elements for each key, written by agents, kept as one changelog row per key and element, so that a large set
 * costs no more to change than a small one. Made by `createSetTable`.
 *
 * @example
 * const visitors = app.setTable('visitors', { key: 'string', value: 'string' })
 */
export class SetTable<K, E> extends KeyedSet<K, E> implements StateDefinition, RoutedTable {
  readonly changelog: StateDefinition['changelog']
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  protected override readonly rows: TaskLocator<SetMember<K, E>, true>

  constructor(context: StateContext, definition: SetTableDefinition<K, E>) {
    const shape = setShape(definition)
    super(context, shape, definition)
    this.changelog = changelogOf(context.appId, definition.name)
    this.partitions = definition.partitions
    this.standbys = definition.standbys
    this.rows = new TaskLocator({ definition: this, shape, context, anywhere: definition.partitioner === 'source' })
  }

  openState(context: OpenStateOptions): OpenState {
    return this.rows.open(context)
  }

  partitionOf(key: Buffer): number | undefined {
    return this.rows.partitionOf(this.keyShape, key)
  }

  state(partition: number): OpenState | undefined {
    return this.rows.state(partition)
  }
}

/** A set table of which every worker has a copy: written and read as a global table is. */
export class GlobalSetTable<K, E> extends KeyedSet<K, E> implements ReplicatedTable {
  readonly source: TopicDeclaration
  protected override readonly rows: GlobalLocator<SetMember<K, E>, true>

  constructor(context: StateContext, definition: KeyedDefinition<K, E>) {
    const shape = setShape(definition)
    super(context, shape, definition)
    this.source = globalTopic(context.appId, { ...definition, topic: undefined })
    this.rows = new GlobalLocator({ table: this, shape, context })
  }

  openReplica(context: ReplicaContext): Promise<Replica> {
    return this.rows.openReplica(context)
  }
}

const SET_OPTIONS: OptionNames<SetTableOptions<CodecSpec, CodecSpec>> = {
  ...KEYED_OPTIONS,
  partitioner: true,
  global: true,
}

/**
 * Declares a set table, or with `global: true` one that every worker has whole. What `app.setTable` calls.
 *
 * @throws `CODEC_UNKNOWN`, `NAME_INVALID`
 */
export function createSetTable<KS extends CodecSpec, ES extends CodecSpec>(
  context: StateContext,
  name: string,
  options: SetTableOptions<KS, ES> & { readonly global: true },
): GlobalSetTable<KeyOf<KS>, ValueOf<ES>>
export function createSetTable<KS extends CodecSpec, ES extends CodecSpec>(
  context: StateContext,
  name: string,
  options: SetTableOptions<KS, ES> & { readonly global?: false },
): SetTable<KeyOf<KS>, ValueOf<ES>>
export function createSetTable<KS extends CodecSpec, ES extends CodecSpec>(
  context: StateContext,
  name: string,
  options: SetTableOptions<KS, ES>,
): SetTable<KeyOf<KS>, ValueOf<ES>> | GlobalSetTable<KeyOf<KS>, ValueOf<ES>> {
  const isGlobal = options?.global === true
  const partitioner = options?.partitioner ?? 'key'
  const definition = readOptions<KS, ES>(
    { kind: isGlobal ? 'global set table' : 'set table', name, context },
    options,
    SET_OPTIONS,
  )
  if (!isGlobal) return new SetTable(context, { ...definition, partitioner })
  if (partitioner === 'source') {
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Global set table "${name}" has partitioner 'source', but each of its keys needs one partition.`,
    )
  }
  return new GlobalSetTable(context, definition)
}

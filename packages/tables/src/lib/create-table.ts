import { type CodecSpec, MillraceError, type OptionNames, readDuration } from '@millrace/core'
import type { StateContext } from '@millrace/state'
import type { Expiry } from './expiry/expiring-rows.ts'
import { ExpiringTable } from './expiry/expiring-table.ts'
import {
  type Fallback,
  type GivenOf,
  KEYED_OPTIONS,
  type KeyOf,
  readOptions,
  type TableDefinition,
  type TableOptions,
  type TableTopic,
  type ValueOf,
} from './options.ts'
import { Table, type TableOf } from './table.ts'
import { NO_APP, type ViewDeclarations } from './windows/views.ts'

/** A table that is a topic: the agent that reads it writes the rows, and no other one may. */
class TopicTable<K, V, G extends V | undefined> extends Table<K, V, G> {
  override readonly writer: string

  /** Throws `KEY_CODEC_DIFFERS`, `DEFINITION_INVALID`. */
  constructor(
    context: StateContext,
    definition: TableDefinition<K, V> & { readonly from: TableTopic<K, V> },
    views: ViewDeclarations = NO_APP,
  ) {
    super(context, definition, views)
    const { name, where, keyCodec, from } = definition
    this.writer = `${name}-from`
    if (from.key.name !== keyCodec.name)
      throw new MillraceError(
        'KEY_CODEC_DIFFERS',
        `Keys of ${where} are ${keyCodec.name}, and those of topic "${from.name}", from which it is filled, are ${from.key.name}.`,
      )
    views.fill<K, V>(
      this.writer,
      from,
      (key, value) => void (value === null ? super.delete(key) : super.set(key, value)),
    )
  }

  override set(_key: K, _value: V): void {
    throw this.#filled('set')
  }

  override update(_key: K, _change: (value: G) => V): V {
    throw this.#filled('update')
  }

  override delete(_key: K): boolean {
    throw this.#filled('delete')
  }

  #filled(method: string): MillraceError {
    const topic = this.sizedAs?.join() ?? ''
    return new MillraceError(
      'TABLE_IS_TOPIC',
      `${method} was called on ${this.keyShape.where}, whose rows are the records of topic "${topic}".`,
    )
  }
}

const TABLE_OPTIONS: OptionNames<TableOptions<CodecSpec, CodecSpec>> = {
  ...KEYED_OPTIONS,
  default: true,
  partitioner: true,
  migrate: true,
  from: true,
  ttl: true,
  clock: true,
}

/**
 * Declares a table. What `app.table` calls.
 *
 * @throws `CODEC_UNKNOWN`, `NAME_INVALID`, `DEFINITION_INVALID`, `TTL_INVALID`
 */
export function createTable<KS extends CodecSpec, VS extends CodecSpec, D extends Fallback<VS> = undefined>(
  context: StateContext,
  name: string,
  options: TableOptions<KS, VS, D>,
  views?: ViewDeclarations,
): TableOf<KS, VS, D> {
  const definition = {
    ...readOptions<KS, VS>({ kind: 'table', name, context }, options, TABLE_OPTIONS),
    fallback: options.default,
    partitioner: options.partitioner ?? 'key',
    migrate: options.migrate,
  } as const
  const { from } = options
  const expiry = readExpiry(definition.where, options)
  if (expiry !== undefined)
    return new ExpiringTable<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(context, { ...definition, expiry }, views)
  if (from === undefined) return new Table<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(context, definition, views)
  return new TopicTable<KeyOf<KS>, ValueOf<VS>, GivenOf<VS, D>>(context, { ...definition, from }, views)
}

/** Throws `TTL_INVALID`. */
function readExpiry(
  where: string,
  { ttl, clock, from }: Pick<TableOptions<CodecSpec, CodecSpec>, 'ttl' | 'clock'> & { readonly from?: unknown },
): Expiry | undefined {
  if (ttl === undefined) {
    if (clock === undefined) return undefined
    throw new MillraceError('TTL_INVALID', `clock of ${where} says by what its ttl goes, and it has none.`)
  }
  const ttlMs = readDuration(ttl)
  if (ttlMs === undefined || !Number.isSafeInteger(ttlMs) || ttlMs < 1)
    throw new MillraceError('TTL_INVALID', `ttl of ${where} is ${JSON.stringify(ttl)}, which is no length of time.`)
  if (clock !== undefined && clock !== 'wall' && clock !== 'event')
    throw new MillraceError(
      'TTL_INVALID',
      `clock of ${where} is ${JSON.stringify(clock)}; it takes 'wall' (the clock of the workers) or 'event' (event time).`,
    )
  if (from !== undefined)
    throw new MillraceError('TTL_INVALID', `${where} is a topic (from), which says itself when records are deleted.`)
  return { ttlMs, clock: clock ?? 'wall' }
}

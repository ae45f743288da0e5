import { type Codec, NO_HEADERS, resolveCodec } from '@millrace/core'
import { type StateContext, writingEvent } from '@millrace/state'
import type { CurrentEvent, StateDefinition } from '@millrace/worker'
import type { TableDefinition } from '../options.ts'
import { SetTable, type SetTableDefinition } from '../set-table.ts'
import { Table } from '../table.ts'
import type { ViewDeclarations } from '../windows/views.ts'
import type { JoinedSide } from './join-tables.ts'
import { KeptUpTable } from './kept-up-table.ts'
import type { ChangeTopic } from './result-topic.ts'

/** The key that a row of the left table refers to, and the event that set it. */
interface Reference {
  /** The key of the right table in base64; `null` if the row refers to none. */
  readonly to: string | null
  /** Identifies the event that wrote the row: a response to an older one is dropped. */
  readonly version: string
}

/** From the left table to the right one: a row refers to this key, or no longer does. */
interface KeySubscription {
  readonly key: string
  readonly version: string
  readonly isOver: boolean
  /** The previous version of the row under the same key. */
  readonly before: string | undefined
}

/** From the right table to the left one: the row of the key. */
interface SubscriptionResponse {
  readonly to: string
  readonly version: string
  /** Its value in base64; `null` when there is none. */
  readonly value: string | null
}

/** A table that sends its changes to the rows that refer to it. */
export interface ReferredTable<K, V> extends JoinedSide<K, V> {
  encodeRow(key: K, value: V): { readonly value: Buffer }
  decodeValue(value: Buffer, key: Buffer): V
}

export interface ForeignKeyJoin<K, RK, L, R, V> {
  readonly left: JoinedSide<K, L>
  readonly right: ReferredTable<RK, R>
  readonly kind: 'inner' | 'left'
  readonly on: (left: L) => RK | null | undefined
  readonly join: (left: L, right: R | undefined) => V | undefined
  readonly to: ChangeTopic<K, V> | undefined
}

/**
 * A table made of the rows of a left table, each joined with the row of a right table to which it refers. These rows are in
 * different partitions, so references go through one topic and responses through another. Each write of a left row has a
 * version, which its responses carry.
 */
export class TableByForeignKey<K, RK, L, R, V> extends KeptUpTable<K, V> {
  override readonly besides: readonly StateDefinition[]
  /** The references of the left table's rows, in its partitions. */
  readonly references: Table<K, Reference>
  /** The references to the right table's rows, in its partitions. */
  readonly subscribers: Subscribers<RK>
  readonly #join: ForeignKeyJoin<K, RK, L, R, V>
  readonly #subscribe: string
  readonly #respond: string

  constructor(
    context: StateContext,
    definition: TableDefinition<K, V>,
    join: ForeignKeyJoin<K, RK, L, R, V>,
    views: ViewDeclarations,
  ) {
    const { left, right, to } = join
    super(context, definition, { sources: [left, right], to, views })
    const { name } = definition
    this.#join = join
    this.besides = [left]
    const own = {
      ...definition,
      valueSpec: 'json',
      valueCodec: jsonRows<Reference>(name),
      migrate: undefined,
      from: undefined,
      fallback: undefined,
    } as const
    this.references = new ReferenceTable(
      context,
      { ...own, name: `${name}-references`, where: `table "${name}-references"` },
      left,
    )
    this.subscribers = new Subscribers(context, subscriberRows(name, right), right)
    this.#subscribe = views.consume(`${name}-subscribe`, right.name, (key, value) =>
      this.#subscribed(key, parsed<KeySubscription>(value)),
    )
    this.#respond = views.consume(`${name}-respond`, left.name, (key, value) =>
      this.#answered(key, parsed<SubscriptionResponse>(value)),
    )
    left.onWrite((key) => this.#leftChanged(key))
    right.onWrite((key) => this.#rightChanged(key))
  }

  /** Called in the event that has written a row of the left table. */
  #leftChanged(key: K): void {
    const { left, right, kind, on, join } = this.#join
    const event = writingEvent(this.storage, this.keyShape.where)
    const row = left.find(key)
    const before = this.references.find(key)
    const referred = row === undefined ? undefined : on(row)
    const to = referred === undefined || referred === null ? null : right.codecOfKeys.encode(referred)
    const shown = to?.toString('base64') ?? null
    const version = `${event.topic}/${event.partition}@${event.offset}`
    if (before !== undefined && before.to !== null && before.to !== shown)
      this.#tell(event, Buffer.from(before.to, 'base64'), {
        ...subscriptionOf(this.codecOfKeys, key, before.version),
        isOver: true,
      })
    if (row === undefined) this.references.delete(key)
    else this.references.set(key, { to: shown, version })
    if (to === null) this.put(key, row === undefined || kind === 'inner' ? undefined : this.made(join(row, undefined)))
    else {
      const earlier = before?.to === shown && before.version !== version ? before.version : undefined
      this.#tell(event, to, { ...subscriptionOf(this.codecOfKeys, key, version), before: earlier })
    }
    // The row stays unchanged until the response arrives; only without the left row or its reference it is deleted at once.
  }

  /** Called in the event that has written a row of the right table. */
  #rightChanged(key: RK): void {
    const event = writingEvent(this.storage, this.keyShape.where)
    for (const subscriber of this.subscribers.values(key)) this.#answer(event, key, subscriber)
  }

  /** At the right table: a row of the left table refers to a row, or no longer does. */
  #subscribed(bytes: Buffer, { key, version, isOver, before }: KeySubscription): void {
    const to = this.#join.right.codecOfKeys.decode(bytes)
    const subscriber = `${version} ${key}`
    if (before !== undefined) this.subscribers.delete(to, `${before} ${key}`)
    if (isOver) this.subscribers.delete(to, subscriber)
    else {
      this.subscribers.add(to, subscriber)
      this.#answer(writingEvent(this.storage, this.keyShape.where), to, subscriber)
    }
  }

  #answer(event: CurrentEvent, to: RK, subscriber: string): void {
    const { right } = this.#join
    const [version = '', key = ''] = subscriber.split(' ')
    const row = right.find(to)
    const value = row === undefined ? null : right.encodeRow(to, row).value.toString('base64')
    const answer: SubscriptionResponse = { to: right.codecOfKeys.encode(to).toString('base64'), version, value }
    send(event, this.#respond, Buffer.from(key, 'base64'), answer)
  }

  /** At the left table: the response with the right row to which one of its rows refers. */
  #answered(bytes: Buffer, { to, version, value }: SubscriptionResponse): void {
    const { left, right, kind, join } = this.#join
    const key = this.codecOfKeys.decode(bytes)
    const reference = this.references.find(key)
    const row = left.find(key)
    // The row has been written since; its own response is on its way, or has arrived.
    if (row === undefined || reference?.version !== version || reference.to !== to) return
    const referred =
      value === null ? undefined : right.decodeValue(Buffer.from(value, 'base64'), Buffer.from(to, 'base64'))
    this.put(key, referred === undefined && kind === 'inner' ? undefined : this.made(join(row, referred)))
  }

  #tell(event: CurrentEvent, to: Buffer, subscription: KeySubscription): void {
    send(event, this.#subscribe, to, subscription)
  }
}

/** A state in the partitions of the left table. */
class ReferenceTable<K> extends Table<K, Reference> {
  override readonly besides: readonly StateDefinition[]

  constructor(context: StateContext, definition: TableDefinition<K, Reference>, left: StateDefinition) {
    super(context, definition)
    this.besides = [left]
  }
}

/** By the key of the right table: version and key of each row that refers to it. */
export class Subscribers<K> extends SetTable<K, string> {
  readonly sizedAs: readonly string[] | undefined
  readonly besides: readonly StateDefinition[]

  constructor(context: StateContext, definition: SetTableDefinition<K, string>, right: StateDefinition) {
    super(context, definition)
    this.sizedAs = right.sizedAs
    this.besides = [right]
  }
}

function subscriberRows<K>(
  name: string,
  { keySpec, codecOfKeys, partitions }: JoinedSide<K, unknown>,
): SetTableDefinition<K, string> {
  const where = `set table "${name}-subscribers"`
  return {
    name: `${name}-subscribers`,
    where,
    keySpec,
    keyCodec: codecOfKeys,
    valueSpec: 'string',
    valueCodec: resolveCodec('string', 'key', where),
    partitions,
    standbys: undefined,
    partitionBy: undefined,
    partitioner: 'key',
    help: `Who refers to what, for the join ${name}`,
  }
}

function subscriptionOf<K>(codec: Codec<K>, key: K, version: string): KeySubscription {
  return { key: codec.encode(key).toString('base64'), version, isOver: false, before: undefined }
}

function send(event: CurrentEvent, topic: string, key: Buffer, message: object): void {
  const value = Buffer.from(JSON.stringify(message))
  event.send({ topic, key, value, headers: NO_HEADERS, timestamp: event.timestamp, partition: undefined })
}

/** Only this app writes these topics. */
function parsed<T>(value: Buffer): T {
  return JSON.parse(value.toString()) as T
}

function jsonRows<T>(name: string): Codec<T> {
  return resolveCodec('json', 'row', `join ${name}`) as Codec<never, unknown> as Codec<T>
}

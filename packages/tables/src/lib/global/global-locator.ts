import { type Codec, MillraceError, NO_HEADERS } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import type { ContextStorage, CurrentEvent, TopicDeclaration, WorkerContext } from '@millrace/worker'
import {
  ownershipError,
  type KeyEntry,
  type KeyShape,
  type RowLocator,
  type RowShape,
  type StateContext,
  type StateShape,
} from '@millrace/state'
import type { GlobalPartition } from './global-partition.ts'
import { globalTopicName } from './global-topic-name.ts'
import { GlobalReplica, type Replica, type ReplicaContext, type ReplicatedTable } from './global-replica.ts'

interface GlobalTopicOptions {
  readonly name: string
  readonly topic: string | undefined
  readonly partitions: number | undefined
  readonly keyCodec: Pick<Codec<never, unknown>, 'name'>
}

/** The topic of a global table. */
export function globalTopic(
  appId: string,
  { name, topic, partitions, keyCodec }: GlobalTopicOptions,
): TopicDeclaration {
  return {
    name: globalTopicName(appId, name, topic),
    partitions,
    config: { 'cleanup.policy': 'compact' },
    create: true,
    internal: topic === undefined,
    keyCodec: keyCodec.name,
  }
}

export interface GlobalLocatorOptions<K, V> {
  readonly table: ReplicatedTable
  readonly shape: StateShape<K, V>
  readonly context: StateContext
}

/**
 * Rows of which every worker has a copy. Any key can be read. A write needs an event of the key's partition, so that each
 * key has one writer, and is a send to the table's topic that belongs to the event.
 */
export class GlobalLocator<K, V> implements RowLocator<K, V> {
  readonly #name: string
  readonly #topic: string
  readonly #keys: KeyShape<K>
  readonly #shape: RowShape<V>
  readonly #storage: ContextStorage
  readonly #workers: () => readonly WorkerContext[]
  /** Those that have been read to their end once. */
  readonly #replicas = new Map<WorkerContext, GlobalReplica<V>>()

  constructor({ table, shape, context }: GlobalLocatorOptions<K, V>) {
    this.#name = table.name
    this.#topic = table.source.name
    this.#keys = shape.keys
    this.#shape = shape.rows
    this.#storage = context.contexts
    this.#workers = context.workers
  }

  openReplica(context: ReplicaContext): Promise<Replica> {
    return GlobalReplica.open<V>({ name: this.#name, shape: this.#shape, context, announced: this.#replicas })
  }

  reading(key: K): KeyEntry<V> {
    return this.outside(key)
  }

  writing(key: K, event: CurrentEvent): KeyEntry<V> {
    const bytes = this.#keys.encode(key)
    const replica = this.#replica()
    const { task } = event
    if (replica.partitionCount !== task.partitions) {
      throw new MillraceError(
        'NOT_COPARTITIONED',
        `A write to ${this.#keys.where}, whose topic "${this.#topic}" has ${replica.partitionCount} partitions, by an event of topic "${event.topic}", which has ${task.partitions}.`,
      )
    }
    const partition = this.#partition(key, bytes, replica)
    if (partition !== task.partition) throw ownershipError({ keys: this.#keys, bytes, event, partition })
    return this.#rows(replica, partition).entryOf(bytes)
  }

  write(entry: KeyEntry<V>, event: CurrentEvent, value: V | undefined): void {
    // Before it is sent: another event may hold the key, and its send comes first then.
    entry.claim(event)
    const receipt = event.send({
      topic: this.#topic,
      key: entry.key,
      value: value === undefined ? null : this.#encode(entry, value),
      headers: NO_HEADERS,
      timestamp: event.timestamp,
      partition: entry.rows.partition,
    })
    this.#rows(this.#replica(), entry.rows.partition).expect(entry, receipt)
    entry.write(event, value, undefined)
  }

  outside(key: K): KeyEntry<V> {
    const bytes = this.#keys.encode(key)
    const replica = this.#replica()
    return this.#rows(replica, this.#partition(key, bytes, replica)).entryOf(bytes)
  }

  rowsOf(key: K): GlobalPartition<V> {
    const replica = this.#replica()
    return this.#rows(replica, this.#partition(key, this.#keys.encode(key), replica))
  }

  local(): readonly GlobalPartition<V>[] {
    return this.#replica().partitions
  }

  opened(): readonly GlobalPartition<V>[] {
    return this.#nearest()?.partitions ?? []
  }

  #encode(entry: KeyEntry<V>, value: V): Buffer {
    try {
      return this.#shape.encode(value)
    } catch (thrown) {
      throw entry.refusal(thrown)
    }
  }

  #partition(key: K, bytes: Buffer, replica: GlobalReplica<V>): number {
    return partitionForKey(this.#keys.partitionedBy(key, bytes), replica.partitionCount)
  }

  #rows(replica: GlobalReplica<V>, partition: number): GlobalPartition<V> {
    const rows = replica.partition(partition)
    if (rows !== undefined) return rows
    throw new MillraceError(
      'PARTITION_MISSING',
      `Topic "${this.#topic}" of ${this.#keys.where} has no partition ${partition}.`,
    )
  }

  #replica(): GlobalReplica<V> {
    const replica = this.#nearest()
    if (replica !== undefined) return replica
    if (this.#storage.getStore()?.worker === undefined && this.#workers().length === 0) {
      throw new MillraceError('NO_WORKER', `Use of ${this.#keys.where} in a process that runs no worker.`)
    }
    throw new MillraceError('PARTITION_NOT_LOCAL', `${this.#keys.where} has not been read to its end yet.`)
  }

  /** The copy of the current worker; outside of workers, that of any worker of this process. */
  #nearest(): GlobalReplica<V> | undefined {
    const own = this.#storage.getStore()?.worker
    if (own !== undefined) return this.#replicas.get(own)
    for (const worker of this.#workers()) {
      const replica = this.#replicas.get(worker)
      if (replica !== undefined) return replica
    }
    return undefined
  }
}

import { MillraceError } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import type {
  ContextStorage,
  CurrentEvent,
  OpenState,
  OpenStateOptions,
  StateDefinition,
  OwnedTask,
  WorkerContext,
} from '@millrace/worker'
import type { KeyShape } from '../keys/key-shape.ts'
import type { KeyEntry } from '../rows/key-entry.ts'
import { KeyedPartition } from '../rows/keyed-partition.ts'
import type { RowShape, StateShape } from '../rows/row-shape.ts'
import { ownershipError } from './current-event.ts'
import type { RowLocator, StateContext } from './row-locator.ts'

export interface TaskLocatorOptions<K, V> {
  /** The definition that workers were given, and by which they know the rows. */
  readonly definition: StateDefinition
  readonly shape: StateShape<K, V>
  readonly context: StateContext
  /** Makes the rows of a task. Default: a `KeyedPartition`. */
  readonly make?: (shape: RowShape<V>, context: OpenStateOptions) => KeyedPartition<V>
  /** The source topics are filled by another partitioner: the bytes of a key do not say where it belongs. */
  readonly anywhere: boolean
}

interface NewKey<K> {
  readonly key: K
  readonly identity: string
  readonly bytes: Buffer
}

/** Rows kept in tasks: an event reads and writes those of its own task; outside events, whatever is in this process is read. */
export class TaskLocator<K, V> implements RowLocator<K, V> {
  readonly #definition: StateDefinition
  readonly #keys: KeyShape<K>
  readonly #shape: RowShape<V>
  readonly #storage: ContextStorage
  readonly #workers: () => readonly WorkerContext[]
  readonly #anywhere: boolean
  readonly #make: NonNullable<TaskLocatorOptions<K, V>['make']>
  /** What `open` has given to workers: they hand it back untyped. */
  readonly #opened = new WeakMap<OpenState, KeyedPartition<V>>()
  // The last task and its rows: nearly every call is for the same task as the one before.
  #task: OwnedTask | undefined = undefined
  #rows: KeyedPartition<V> | undefined = undefined

  constructor({ definition, shape, context, anywhere, make }: TaskLocatorOptions<K, V>) {
    this.#definition = definition
    this.#keys = shape.keys
    this.#shape = shape.rows
    this.#storage = context.contexts
    this.#workers = context.workers
    this.#anywhere = anywhere
    this.#make = make ?? ((rows, opened) => new KeyedPartition(rows, opened))
  }

  open(context: OpenStateOptions): KeyedPartition<V> {
    const rows = this.#make(this.#shape, context)
    this.#opened.set(rows, rows)
    return rows
  }

  reading(key: K, event: CurrentEvent): KeyEntry<V> {
    const rows = this.#rowsIn(event)
    const quick = this.#keys.quickIdentity(key)
    if (quick === undefined) return this.#find(rows, key, event)
    return rows.find(quick) ?? this.#load(rows, { key, identity: quick, bytes: this.#keys.encode(key) }, event)
  }

  writing(key: K, event: CurrentEvent): KeyEntry<V> {
    return this.reading(key, event)
  }

  write(entry: KeyEntry<V>, event: CurrentEvent, value: V | undefined): void {
    entry.write(event, value, value === undefined ? undefined : this.#admit(entry, value))
  }

  outside(key: K): KeyEntry<V> {
    const bytes = this.#keys.encode(key)
    if (!this.#anywhere) return this.#rowsOutside(key, bytes).entryOf(bytes)
    return this.#searched(bytes)
  }

  rowsOf(key: K, event: CurrentEvent | undefined): KeyedPartition<V> {
    const bytes = this.#keys.encode(key)
    if (event === undefined) return this.#rowsOutside(key, bytes)
    const rows = this.#rowsIn(event)
    this.#assertOwned(key, bytes, event)
    return rows
  }

  local(): readonly KeyedPartition<V>[] {
    this.#workersHere()
    const found = this.opened()
    const job = this.#storage.getStore()?.leaderJob
    if (job !== undefined) this.#assertAll(job, found.length)
    return found
  }

  opened(): readonly KeyedPartition<V>[] {
    const found: KeyedPartition<V>[] = []
    const own = this.#storage.getStore()?.worker
    for (const worker of own === undefined ? this.#workers() : [own]) {
      for (const open of worker.openStates(this.#definition).values()) {
        const rows = this.#opened.get(open)
        if (rows !== undefined) found.push(rows)
      }
    }
    return found.sort((a, b) => a.partition - b.partition)
  }

  /** The rows of one partition, from whichever worker of this process has them. */
  state(partition: number): KeyedPartition<V> | undefined {
    for (const worker of this.#nearestFirst()) {
      const open = worker.openState(this.#definition, partition)
      if (open !== undefined) return this.#opened.get(open)
    }
    return undefined
  }

  /**
   * The partition of an encoded key, as requests name it: of a set, without an element. `undefined` before any worker has
   * started.
   *
   * @throws `DEFINITION_INVALID` when keys can be anywhere
   */
  partitionOf<R>(keys: KeyShape<R>, key: Buffer): number | undefined {
    if (this.#anywhere) {
      throw new MillraceError(
        'DEFINITION_INVALID',
        `The partition of a key of ${keys.where} cannot be known: its partitioner is 'source'.`,
      )
    }
    const partitions = this.#partitions()
    return partitions === undefined ? undefined : partitionForKey(keys.partitionedBy(keys.decode(key), key), partitions)
  }

  #partitions(): number | undefined {
    for (const worker of this.#nearestFirst()) {
      const partitions = worker.partitionsOf(this.#definition)
      if (partitions !== undefined) return partitions
    }
    return undefined
  }

  #admit(entry: KeyEntry<V>, value: V): Buffer | undefined {
    try {
      return this.#shape.admit(value)
    } catch (thrown) {
      throw entry.refusal(thrown)
    }
  }

  #rowsIn(event: CurrentEvent): KeyedPartition<V> {
    const last = this.#rows
    if (last !== undefined && this.#task === event.task && !last.closed) return last
    const open = event.task.open(this.#definition)
    const rows = open === undefined ? undefined : this.#opened.get(open)
    if (rows === undefined) throw this.#notCopartitioned(event)
    this.#task = event.task
    this.#rows = rows
    return rows
  }

  /** For keys whose identity is in their bytes. */
  #find(rows: KeyedPartition<V>, key: K, event: CurrentEvent): KeyEntry<V> {
    const bytes = this.#keys.encode(key)
    const identity = this.#keys.identify(bytes)
    return rows.find(identity) ?? this.#load(rows, { key, identity, bytes }, event)
  }

  /** A key that is in the cache was checked when it came there. */
  #load(rows: KeyedPartition<V>, { key, identity, bytes }: NewKey<K>, event: CurrentEvent): KeyEntry<V> {
    this.#assertOwned(key, bytes, event)
    return rows.load(identity, bytes)
  }

  #assertOwned(key: K, bytes: Buffer, event: CurrentEvent): void {
    const { task } = event
    if (this.#anywhere || task.partitions === 1) return
    const partition = partitionForKey(this.#keys.partitionedBy(key, bytes), task.partitions)
    if (partition !== task.partition) throw ownershipError({ keys: this.#keys, bytes, event, partition })
  }

  #rowsOutside(key: K, bytes: Buffer): KeyedPartition<V> {
    const partitionedBy = this.#keys.partitionedBy(key, bytes)
    let belongs = ''
    for (const worker of this.#workersHere()) {
      const partitions = worker.partitionsOf(this.#definition)
      if (partitions === undefined) continue
      const partition = partitionForKey(partitionedBy, partitions)
      belongs = ` (partition ${partition} of ${partitions})`
      const open = worker.openState(this.#definition, partition)
      const rows = open === undefined ? undefined : this.#opened.get(open)
      if (rows !== undefined) return rows
    }
    throw new MillraceError(
      'PARTITION_NOT_LOCAL',
      `Key ${this.#keys.show(bytes)} of ${this.#keys.where}${belongs} is not here.`,
    )
  }

  /** From whichever partition has the key; that it is absent is only known when all of them are here. */
  #searched(bytes: Buffer): KeyEntry<V> {
    this.#workersHere()
    const partitions = this.opened()
    let entry: KeyEntry<V> | undefined
    for (const rows of partitions) {
      entry = rows.entryOf(bytes)
      if (entry.value !== undefined) return entry
    }
    if (entry !== undefined && partitions.length === this.#partitions()) return entry
    throw new MillraceError(
      'PARTITION_NOT_LOCAL',
      `Key ${this.#keys.show(bytes)} of ${this.#keys.where} is in none of the partitions here, and with partitioner 'source' it may be in any other.`,
    )
  }

  /** A job that runs once for the whole app takes what it reads for all there is. */
  #assertAll(job: string, found: number): void {
    const partitions = this.#partitions()
    if (partitions === undefined || found === partitions) return
    throw new MillraceError(
      'TABLE_PARTIAL',
      `Job "${job}" runs on the leader and reads all rows of ${this.#keys.where}, of which the leader has ${found} of ${partitions} partitions.`,
    )
  }

  /** The current worker, then the others of this process. */
  #nearestFirst(): readonly WorkerContext[] {
    const own = this.#storage.getStore()?.worker
    const all = this.#workers()
    if (own === undefined) return all
    return all.length === 0 || (all.length === 1 && all[0] === own)
      ? [own]
      : [own, ...all.filter((worker) => worker !== own)]
  }

  #workersHere(): readonly WorkerContext[] {
    const workers = this.#nearestFirst()
    if (workers.length === 0)
      throw new MillraceError('NO_WORKER', `A read of ${this.#keys.where} in a process that runs no worker.`)
    return workers
  }

  #notCopartitioned(event: CurrentEvent): MillraceError {
    const own = this.#storage.getStore()?.worker?.partitionsOf(this.#definition)
    const { where } = this.#keys
    return new MillraceError(
      'NOT_COPARTITIONED',
      `${where.charAt(0).toUpperCase()}${where.slice(1)} has ${own ?? 'another number of'} partitions, topic "${event.topic}" has ${event.task.partitions}.`,
    )
  }
}

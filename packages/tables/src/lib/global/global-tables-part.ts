import {
  deferred,
  type Deferred,
  MillraceError,
  partitionsOf,
  raceAbort,
  type RecordBatch,
  type Scheduled,
  toError,
} from '@millrace/core'
import type { Reader, StoreDriver } from '@millrace/core/driver'
import type { TaskRef, Topology, WorkerContext, WorkerPart } from '@millrace/worker'
import { memoryStore } from '@millrace/state'
import type { Replica, ReplicatedTable } from './global-replica.ts'

const DEFAULT_CACHE_BYTES = 16 * 1024 * 1024
const PROGRESS_EVERY_MS = 10_000

export interface GlobalTablesOptions {
  /** Where the copies go; owned by the part from here on. Default: a memory store. */
  readonly store?: StoreDriver
  /** Decoded rows kept per table, in bytes; default 16 MB. */
  readonly cacheBytes?: number
  /** Freeze values given out. Default false. */
  readonly freeze?: boolean
}

/**
 * Keeps a worker's copies of global tables current: reads their topics from the beginning before the worker starts to
 * handle events, and follows them until it stops. One for each worker.
 *
 * @example
 * const part = globalTablesPart([rates, countries], { freeze: true })
 */
export function globalTablesPart(tables: readonly ReplicatedTable[], options: GlobalTablesOptions = {}): WorkerPart {
  return new GlobalTablesPart(tables, options)
}

interface FollowedTable {
  readonly table: ReplicatedTable
  readonly replica: Replica
  /** Partitions that have not been read to the end that they had at the start. */
  readonly behind: Map<number, { readonly end: number; restoredRows: number }>
}

/** How far a copy is to be read. */
interface Goal {
  readonly replica: Replica
  readonly partition: number
  readonly end: number
}

interface PendingGoal extends Goal {
  readonly reached: Deferred<void>
}

function isReached({ replica, partition, end }: Goal): boolean {
  return replica.position(partition) >= end
}

class GlobalTablesPart implements WorkerPart {
  readonly name: string = 'global tables'
  readonly #tables: readonly ReplicatedTable[]
  readonly #store: StoreDriver
  readonly #cacheBytes: number
  readonly #freeze: boolean
  /** By topic. */
  readonly #followed = new Map<string, FollowedTable>()
  readonly #caughtUp: Deferred<void> = deferred<void>()
  #worker: WorkerContext | undefined
  #reader: Reader | undefined
  #ends: Reader | undefined
  /** What tasks wait for. */
  readonly #pending = new Set<PendingGoal>()
  #following: Promise<void> | undefined
  #stopping = false

  constructor(tables: readonly ReplicatedTable[], { store, cacheBytes, freeze }: GlobalTablesOptions) {
    this.#tables = tables
    this.#store = store ?? memoryStore()
    this.#cacheBytes = cacheBytes ?? DEFAULT_CACHE_BYTES
    this.#freeze = freeze ?? false
  }

  declare(worker: WorkerContext, topology: Topology): void {
    this.#worker = worker
    for (const table of this.#tables) topology.topic(table.source)
    if (this.#tables.length > 0) topology.beforeTask((task, signal) => this.#catchUp(task, signal))
  }

  async start(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined || this.#tables.length === 0) return
    const reader = worker.reader('read-committed')
    this.#reader = reader
    // Records of an open transaction count too: it has to end before a task may read the table.
    this.#ends = worker.reader('read-uncommitted')
    for (const table of this.#tables) await this.#open(table, worker, reader)
    this.#following = this.#follow(worker, reader)
    await this.#untilCaughtUp(worker)
    for (const { replica } of this.#followed.values()) replica.announce()
  }

  ready(): void {
    // The copies have been complete since `start`.
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#ends?.close()
    await this.#reader?.close()
    await this.#following
    for (const { replica } of this.#followed.values()) replica.close()
    await this.#store.close()
  }

  async #open(table: ReplicatedTable, worker: WorkerContext, reader: Reader): Promise<void> {
    const topic = table.source.name
    const count = await worker.partitions(topic)
    const partitions = partitionsOf(topic, count)
    const offsets = await reader.offsets(partitions)
    const beginnings = Array.from({ length: count }, () => 0)
    const behind: FollowedTable['behind'] = new Map()
    for (const { partition, beginning, end } of offsets) {
      beginnings[partition] = beginning
      if (end > beginning) behind.set(partition, { end, restoredRows: 0 })
    }
    const replica = await table.openReplica({
      worker,
      store: this.#store,
      beginnings,
      cacheBytes: this.#cacheBytes,
      freeze: this.#freeze,
    })
    this.#followed.set(topic, { table, replica, behind })
    for (const partition of partitions) reader.assign(partition, beginnings[partition.partition] ?? 0)
  }

  async #follow(worker: WorkerContext, reader: Reader): Promise<void> {
    try {
      this.#noteProgress()
      for await (const batch of reader.batches()) await this.#absorb(worker, batch)
      if (!this.#stopping) throw new MillraceError('WORKER_FAILED', 'The reader of the global tables has ended.')
    } catch (thrown) {
      const error = toError(thrown)
      this.#caughtUp.reject(error)
      if (!this.#stopping) worker.fail(error)
    }
  }

  async #absorb(worker: WorkerContext, batch: RecordBatch): Promise<void> {
    const followed = this.#followed.get(batch.topic)
    if (followed === undefined) return
    await followed.replica.absorb(batch)
    for (const goal of this.#pending) if (isReached(goal)) goal.reached.resolve()
    const behind = followed.behind.get(batch.partition)
    if (behind === undefined) return
    behind.restoredRows += batch.records.length
    worker.sensor.recoveryProgress({
      topic: batch.topic,
      partition: batch.partition,
      restoredRows: behind.restoredRows,
      remainingRows: Math.max(0, behind.end - batch.nextOffset),
    })
    if (batch.nextOffset < behind.end) return
    followed.behind.delete(batch.partition)
    this.#noteProgress()
  }

  /**
   * Before a task writes keys, it reads them: the copies must have everything that the task's earlier owner has written, and
   * nothing that this worker had written and lost with the task.
   */
  async #catchUp({ partitions, partition }: TaskRef, signal: AbortSignal): Promise<void> {
    const copies = [...this.#followed.values()].filter(({ replica }) => replica.partitionCount === partitions)
    if (copies.length === 0 || this.#ends === undefined) return
    const ends = await this.#ends.offsets(copies.map(({ table }) => ({ topic: table.source.name, partition })))
    const endOf = new Map(ends.map(({ topic, end }) => [topic, end]))
    await Promise.all(
      copies.map(({ table, replica }) =>
        this.#untilRead({ replica, partition, end: endOf.get(table.source.name) ?? 0 }, signal),
      ),
    )
    for (const { replica } of copies) replica.forgetWrites(partition)
  }

  async #untilRead(goal: Goal, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (isReached(goal)) return
    const pending: PendingGoal = { ...goal, reached: deferred<void>() }
    this.#pending.add(pending)
    try {
      await raceAbort(pending.reached.promise, signal)
    } finally {
      this.#pending.delete(pending)
    }
  }

  #noteProgress(): void {
    for (const { behind } of this.#followed.values()) if (behind.size > 0) return
    this.#caughtUp.resolve()
  }

  async #untilCaughtUp(worker: WorkerContext): Promise<void> {
    let next: Scheduled = worker.clock.schedule(PROGRESS_EVERY_MS, () => report())
    const report = (): void => {
      for (const [topic, { table, behind }] of this.#followed) {
        if (behind.size > 0)
          worker.log.info({ topic, partitions: [...behind.keys()] }, `Reading global table "${table.name}"`)
      }
      next = worker.clock.schedule(PROGRESS_EVERY_MS, () => report())
    }
    try {
      await raceAbort(this.#caughtUp.promise, worker.signal)
    } finally {
      next.cancel()
    }
  }
}

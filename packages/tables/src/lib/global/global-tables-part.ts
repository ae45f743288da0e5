import {
  deferred,
  MillraceError,
  raceAbort,
  toError,
  type Deferred,
  type Reader,
  type RecordBatch,
  type Scheduled,
  type StoreDriver,
  type TaskRef,
  type Topology,
  type WorkerContext,
  type WorkerPart,
} from '@millrace/core'
import { memoryStore } from '../memory/memory-store.ts'
import type { Replica, ReplicatedTable } from './replicated-table.ts'

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

interface Feed {
  readonly table: ReplicatedTable
  readonly replica: Replica
  /** Partitions not read to the end that they had at the start. */
  readonly behind: Map<number, { readonly end: number; restoredRows: number }>
}

interface ReadPlace {
  readonly replica: Replica
  readonly partition: number
  readonly end: number
}

/** A task that waits until a copy is read that far. */
interface Waiting extends ReadPlace {
  readonly there: Deferred<void>
}

function isThere({ replica, partition, end }: ReadPlace): boolean {
  return replica.position(partition) >= end
}

class GlobalTablesPart implements WorkerPart {
  readonly name: string = 'global tables'
  readonly #tables: readonly ReplicatedTable[]
  readonly #store: StoreDriver
  readonly #cacheBytes: number
  readonly #freeze: boolean
  readonly #feeds = new Map<string, Feed>()
  readonly #caughtUp: Deferred<void> = deferred<void>()
  #worker: WorkerContext | undefined
  #reader: Reader | undefined
  #ends: Reader | undefined
  readonly #waiting = new Set<Waiting>()
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
    // Also what is still in a transaction counts: it has to be over.
    this.#ends = worker.reader('read-uncommitted')
    for (const table of this.#tables) await this.#open(table, worker, reader)
    this.#following = this.#follow(worker, reader)
    await this.#untilCaughtUp(worker)
    for (const { replica } of this.#feeds.values()) replica.announce()
  }

  ready(): void {
    // The copies are complete since `start`.
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#ends?.close()
    await this.#reader?.close()
    await this.#following
    for (const { replica } of this.#feeds.values()) replica.close()
    await this.#store.close()
  }

  async #open(table: ReplicatedTable, worker: WorkerContext, reader: Reader): Promise<void> {
    const topic = table.source.name
    const count = await worker.partitions(topic)
    const partitions = Array.from({ length: count }, (_, partition) => ({ topic, partition }))
    const offsets = await reader.offsets(partitions)
    const beginnings = Array.from({ length: count }, () => 0)
    const behind: Feed['behind'] = new Map()
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
    this.#feeds.set(topic, { table, replica, behind })
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
    const feed = this.#feeds.get(batch.topic)
    if (feed === undefined) return
    await feed.replica.absorb(batch)
    for (const waiting of this.#waiting) if (isThere(waiting)) waiting.there.resolve()
    const behind = feed.behind.get(batch.partition)
    if (behind === undefined) return
    behind.restoredRows += batch.records.length
    worker.sensor.recoveryProgress({
      topic: batch.topic,
      partition: batch.partition,
      restoredRows: behind.restoredRows,
      remainingRows: Math.max(0, behind.end - batch.nextOffset),
    })
    if (batch.nextOffset < behind.end) return
    feed.behind.delete(batch.partition)
    this.#noteProgress()
  }

  /**
   * Whoever writes a key reads it first: the copies must have all that the task's earlier owner has written, and nothing of
   * what this worker had written and has lost with the task.
   */
  async #catchUp({ partitions, partition }: TaskRef, signal: AbortSignal): Promise<void> {
    const feeds = [...this.#feeds.values()].filter(({ replica }) => replica.partitionCount === partitions)
    if (feeds.length === 0 || this.#ends === undefined) return
    const ends = await this.#ends.offsets(feeds.map(({ table }) => ({ topic: table.source.name, partition })))
    const endOf = new Map(ends.map(({ topic, end }) => [topic, end]))
    await Promise.all(
      feeds.map(({ table, replica }) =>
        this.#untilRead({ replica, partition, end: endOf.get(table.source.name) ?? 0 }, signal),
      ),
    )
    for (const { replica } of feeds) replica.forgetWrites(partition)
  }

  async #untilRead(place: ReadPlace, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (isThere(place)) return
    const waiting: Waiting = { ...place, there: deferred<void>() }
    this.#waiting.add(waiting)
    try {
      await raceAbort(waiting.there.promise, signal)
    } finally {
      this.#waiting.delete(waiting)
    }
  }

  #noteProgress(): void {
    for (const { behind } of this.#feeds.values()) if (behind.size > 0) return
    this.#caughtUp.resolve()
  }

  async #untilCaughtUp(worker: WorkerContext): Promise<void> {
    const abort = (): void => this.#caughtUp.reject(worker.signal.reason)
    if (worker.signal.aborted) abort()
    else worker.signal.addEventListener('abort', abort, { once: true })
    let report: Scheduled = worker.clock.schedule(PROGRESS_EVERY_MS, () => tell())
    const tell = (): void => {
      for (const [topic, { table, behind }] of this.#feeds) {
        if (behind.size > 0)
          worker.log.info({ topic, partitions: [...behind.keys()] }, `Reading global table "${table.name}"`)
      }
      report = worker.clock.schedule(PROGRESS_EVERY_MS, () => tell())
    }
    try {
      await this.#caughtUp.promise
    } finally {
      report.cancel()
      worker.signal.removeEventListener('abort', abort)
    }
  }
}

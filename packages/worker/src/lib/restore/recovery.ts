import {
  type Clock,
  type Deferred,
  deferred,
  type Logger,
  partitionKey,
  type PartitionOffsets,
  type Reader,
  type RecordBatch,
  type Row,
  type Sensor,
  type StorePartition,
  type TopicPartition,
} from '@millrace/core'
import { ChangelogReader } from './changelog-reader.ts'
import { type ChangelogState, planRestore, RENEW_CHECKPOINT_MS, whyAnew } from './restore-plan.ts'
import { RestoreTotals } from './restore-totals.ts'
import type { TaskStores } from './task-stores.ts'

/**
 * Rows, or bytes, gathered of all partitions before some are written. Large, for a store on disk writes most pages of a
 * partition anew in each commit (1 M rows in one partition: 150k rows/s by 50,000, 190k by 100,000), but a bound for
 * memory. The partition with the most bytes goes first: many partitions at once need smaller commits, since each is small.
 */
const GATHERED_ROWS = 100_000
const GATHERED_BYTES = 32 * 1024 * 1024

export interface RecoveryDeps {
  readonly stores: TaskStores
  /** Makes the reader of changelogs, when there is something to read. */
  readonly reader: () => Reader
  /** Beginnings and ends of changelogs, what is in transactions that are still open included. */
  readonly offsets: (partitions: readonly TopicPartition[]) => Promise<readonly PartitionOffsets[]>
  readonly clock: Clock
  readonly log: Logger
  readonly sensor: Pick<Sensor, 'recoveryProgress'>
  /** Reading has failed for good. */
  readonly onBroken: (error: Error) => void
}

export interface RecoveryStats {
  readonly state: 'none' | 'recovering' | 'done'
  readonly restoredRows: number
  /** Offsets still to read: an upper bound of rows. */
  readonly remainingRows: number
  readonly rowsPerSecond: number
}

export interface RestoreRequest {
  readonly part: string
  readonly changelog: TopicPartition
  readonly state: ChangelogState
  readonly store: StorePartition
  /** Aborts when the task is lost. */
  readonly signal: AbortSignal
}

/** A changelog partition on its way into its store. */
class Restoration {
  readonly request: RestoreRequest
  readonly done: Deferred<void> = deferred<void>()
  readonly startedMs: number
  position: number
  rows: Row[] = []
  bytes = 0
  restored = 0

  constructor(request: RestoreRequest, position: number, startedMs: number) {
    this.request = request
    this.position = position
    this.startedMs = startedMs
  }

  get remaining(): number {
    return this.request.state.end - this.position
  }

  get atEnd(): boolean {
    return this.remaining <= 0
  }

  absorb(batch: RecordBatch): void {
    for (const { key, value, offset } of batch.records) {
      if (key === null || offset >= this.request.state.end) continue
      this.rows.push({ key, value })
    }
    this.bytes += batch.bytes
    this.position = Math.max(this.position, Math.min(batch.nextOffset, this.request.state.end))
  }
}

/** Brings stores up to the end of their changelogs: several partitions at once, through one reader. */
export class Recovery {
  readonly #deps: RecoveryDeps
  readonly #active = new Map<string, Restoration>()
  readonly #totals = new Map<string, RestoreTotals>()
  readonly #reader: ChangelogReader

  constructor(deps: RecoveryDeps) {
    this.#deps = deps
    this.#reader = new ChangelogReader({ ...deps, take: (batch) => this.#take(batch) })
  }

  get active(): number {
    return this.#active.size
  }

  /**
   * Beginning and end of changelog partitions, as they are now. What is in a transaction counts too: rows that are
   * committed may lie behind it, so recovery waits until it is over.
   */
  async offsets(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, PartitionOffsets>> {
    if (partitions.length === 0) return new Map()
    const offsets = await this.#deps.offsets(partitions)
    return new Map(offsets.map((one) => [partitionKey(one), one]))
  }

  /** Resolves when the store has everything up to the end. Rejects when the task is lost meanwhile. */
  async restore(request: RestoreRequest): Promise<void> {
    const { store, changelog, state, signal, part } = request
    signal.throwIfAborted()
    const { clock, log } = this.#deps
    const plan = planRestore(store.checkpoint(), state, clock.now())
    const { from, rebuild } = plan
    const reason = whyAnew(plan, store)
    if (reason !== undefined)
      log.warn(
        { table: part, ...changelog },
        `Partition ${changelog.partition} of ${part} is rebuilt from its changelog: ${reason}.`,
      )
    if (rebuild !== undefined) await store.clear()
    const restoration = new Restoration(request, from, clock.monotonic())
    if (restoration.atEnd) {
      // The checkpoint says that this store belongs to this changelog, also when there is nothing in it, and as of when.
      const wallTimeMs = store.checkpoint()?.wallTimeMs ?? -Infinity
      if (clock.now() - wallTimeMs > RENEW_CHECKPOINT_MS) await this.#write(restoration)
      return
    }
    const key = partitionKey(changelog)
    const abort = (): void => {
      this.#leave(restoration, 0)
      restoration.done.reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    this.#active.set(key, restoration)
    this.#totalsOf(part).begin(restoration.startedMs)
    this.#reader.assign(changelog, from)
    try {
      await restoration.done.promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
    const seconds = (clock.monotonic() - restoration.startedMs) / 1000
    log.info(
      { table: part, ...changelog, rows: restoration.restored, seconds },
      `Partition ${changelog.partition} of ${part} is recovered.`,
    )
  }

  /** Changelog offsets that are still to be read into a store; 0 when it is not being recovered. */
  remaining(changelog: TopicPartition): number {
    return this.#active.get(partitionKey(changelog))?.remaining ?? 0
  }

  stats(part: string, isHere: boolean): RecoveryStats {
    const active = [...this.#active.values()].filter(({ request }) => request.part === part)
    const totals = this.#totalsOf(part)
    const activeMs = totals.activeMs(this.#deps.clock.monotonic())
    const restoredRows = totals.restored + active.reduce((sum, { restored, rows }) => sum + restored + rows.length, 0)
    return {
      state: active.length > 0 ? 'recovering' : isHere ? 'done' : 'none',
      restoredRows,
      remainingRows: active.reduce((sum, { remaining }) => sum + remaining, 0),
      rowsPerSecond: activeMs > 0 ? Math.round(restoredRows / (activeMs / 1000)) : 0,
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }

  async #take(batch: RecordBatch): Promise<void> {
    const restoration = this.#active.get(partitionKey(batch))
    if (restoration === undefined || batch.nextOffset <= restoration.position) return
    restoration.absorb(batch)
    if (restoration.atEnd) await this.#absorbed(restoration)
    else await this.#makeRoom()
  }

  async #makeRoom(): Promise<void> {
    let rows = 0
    let bytes = 0
    let largest: Restoration | undefined
    for (const one of this.#active.values()) {
      rows += one.rows.length
      bytes += one.bytes
      if (largest === undefined || one.bytes > largest.bytes) largest = one
    }
    if (largest !== undefined && (rows >= GATHERED_ROWS || bytes >= GATHERED_BYTES)) await this.#write(largest)
  }

  async #absorbed(restoration: Restoration): Promise<void> {
    await this.#write(restoration)
    if (!restoration.atEnd) return
    if (this.#leave(restoration, restoration.restored)) restoration.done.resolve()
  }

  async #write(restoration: Restoration): Promise<void> {
    const { rows, position, request } = restoration
    restoration.rows = []
    restoration.bytes = 0
    if (request.signal.aborted) return
    const checkpoint = { topicId: request.state.topicId, offset: position, wallTimeMs: this.#deps.clock.now() }
    await this.#deps.stores.commit([{ partition: request.store, rows, checkpoint }])
    restoration.restored += rows.length
    this.#deps.sensor.recoveryProgress({
      ...request.changelog,
      restoredRows: restoration.restored,
      remainingRows: restoration.remaining,
    })
  }

  /** False when it had left already. */
  #leave(restoration: Restoration, restored: number): boolean {
    const { changelog, part } = restoration.request
    const key = partitionKey(changelog)
    if (this.#active.get(key) !== restoration) return false
    this.#active.delete(key)
    this.#totalsOf(part).end(this.#deps.clock.monotonic(), restored)
    this.#reader.unassign(changelog)
    return true
  }

  #totalsOf(part: string): RestoreTotals {
    const known = this.#totals.get(part) ?? new RestoreTotals()
    this.#totals.set(part, known)
    return known
  }
}

import {
  type Clock,
  type Logger,
  partitionKey,
  type Reader,
  type RecordBatch,
  type Scheduled,
  type StoreChange,
  type StorePartition,
  toError,
} from '@millrace/core'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import { ChangelogReader } from './changelog-reader.ts'
import { planRestore, whyAnew } from './restore-plan.ts'
import { type CopyPlace, StandbyCopy } from './standby-copy.ts'
import type { TaskStores } from './task-stores.ts'

/** Copies are written so often; or when so much has gathered. */
const WRITE_MS = 250
const WRITE_ROWS = 50_000
const WRITE_BYTES = 16 * 1024 * 1024
/** Before changelogs are read again after that has failed. */
const RETRY_MS = 2000

export interface StandbysDeps {
  readonly stores: TaskStores
  readonly topics: Pick<TopicDirectory, 'changelogId' | 'changelogConfig'>
  /** Reads what recovery would: under exactly once committed rows only. */
  readonly reader: () => Reader
  readonly clock: Clock
  readonly log: Logger
  /** Changelog offsets that the copies of a task may lack and have caught up. */
  readonly acceptableLag: number
  /** The copies of another task have caught up. */
  readonly onCaughtUp: () => void
  /** The store cannot be written. */
  readonly onBroken: (error: Error) => void
}

/**
 * Warm copies: the state of tasks that run elsewhere, read from their changelogs straight into the store. When such a task
 * comes here, its store is handed over as it is, and recovery reads the rest.
 */
export class Standbys {
  readonly #deps: StandbysDeps
  readonly #reader: ChangelogReader
  /** By changelog partition. */
  readonly #copies = new Map<string, StandbyCopy>()
  readonly #caughtUp = new Set<string>()
  readonly #closing = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #timer: Scheduled | undefined
  #writing: Promise<void> | undefined

  constructor(deps: StandbysDeps) {
    this.#deps = deps
    this.#reader = new ChangelogReader({
      reader: deps.reader,
      log: deps.log,
      take: (batch) => this.#take(batch),
      onBroken: (error) => void this.#readAgain(error),
    })
  }

  /**
   * Ids of tasks whose copies here have once been at the end of their changelogs, or almost, since they are being read. A
   * busy task is ahead of its copies again with each of its cuts, and they follow.
   */
  get caughtUp(): ReadonlySet<string> {
    return this.#caughtUp
  }

  /** Copies of a part, for figures. */
  of(part: string): readonly { readonly partition: number; readonly rows: number; readonly lag: number }[] {
    return [...this.#copies.values()].flatMap(({ place, store, lag }) =>
      place.part.name === part && store !== undefined && lag < Infinity
        ? [{ partition: place.partition, rows: store.rows, lag }]
        : [],
    )
  }

  /** Keeps exactly these copies from now on. */
  assign(places: readonly CopyPlace[]): void {
    const wanted = new Map(places.map((place) => [keyOf(place), place]))
    for (const [key, copy] of this.#copies) if (!wanted.has(key)) this.#stop(key, copy)
    for (const [key, place] of wanted) {
      if (this.#copies.has(key) || this.#stopping.signal.aborted) continue
      const copy = new StandbyCopy(place)
      this.#copies.set(key, copy)
      this.#caughtUp.delete(copy.task)
      void this.#start(copy)
    }
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    this.#timer?.cancel()
    this.assign([])
    await this.#reader.close()
    await Promise.all(this.#closing)
  }

  #stop(key: string, copy: StandbyCopy): void {
    this.#copies.delete(key)
    this.#caughtUp.delete(copy.task)
    copy.stopping.abort()
    this.#reader.unassign(copy.changelog)
    const { store } = copy
    if (store !== undefined) this.#close(store)
  }

  #close(store: StorePartition): void {
    const closing = this.#deps.stores.close(store).catch((thrown: unknown) => {
      this.#deps.log.warn(
        { table: store.table, partition: store.partition, error: toError(thrown).message },
        'A warm copy was not closed cleanly.',
      )
    })
    this.#closing.add(closing)
    void closing.then(() => this.#closing.delete(closing))
  }

  async #start(copy: StandbyCopy): Promise<void> {
    const { stores, log } = this.#deps
    const { part, partition } = copy.place
    const { signal } = copy.stopping
    try {
      const store = await stores.open(part.name, partition)
      if (signal.aborted) return this.#close(store)
      copy.store = store
      await this.#follow(copy, store)
    } catch (thrown) {
      if (signal.aborted) return
      log.warn(
        { table: part.name, partition, error: toError(thrown).message },
        `The warm copy of ${part.name} could not be opened.`,
      )
    }
  }

  /** Begins to read where the store ends. */
  async #follow(copy: StandbyCopy, store: StorePartition): Promise<void> {
    const { clock, log, topics } = this.#deps
    const { part, partition } = copy.place
    const turn = copy.begin()
    this.#caughtUp.delete(copy.task)
    await this.#writing
    const [bounds] = await this.#reader.offsets([copy.changelog])
    if (copy.stopping.signal.aborted || bounds === undefined || turn !== copy.turn) return
    const changelog = { ...bounds, topicId: topics.changelogId(part), config: topics.changelogConfig(part) }
    const plan = planRestore(store.checkpoint(), changelog, clock.now())
    const { from, rebuild } = plan
    const reason = whyAnew(plan, store)
    if (reason !== undefined)
      log.warn(
        { table: part.name, partition },
        `The warm copy of partition ${partition} of ${part.name} is built anew: ${reason}.`,
      )
    if (rebuild !== undefined) {
      await store.clear()
      if (copy.stopping.signal.aborted || turn !== copy.turn) return
    }
    copy.follow(from, bounds.end)
    this.#reader.assign(copy.changelog, from)
    this.#look()
  }

  async #take(batch: RecordBatch): Promise<void> {
    const copy = this.#copies.get(partitionKey(batch))
    if (copy?.store === undefined || !copy.absorb(batch)) return
    // Somebody may be waiting for it to have caught up.
    const isThere = batch.nextOffset >= batch.endOffset && !this.#caughtUp.has(copy.task)
    if (isThere || copy.rows >= WRITE_ROWS || copy.bytes >= WRITE_BYTES) await this.#write()
    else this.#timer ??= this.#deps.clock.schedule(WRITE_MS, () => void this.#write())
  }

  /** A copy is a convenience: what keeps it from being read does not end the worker. */
  async #readAgain(error: Error): Promise<void> {
    const { clock, log } = this.#deps
    const { signal } = this.#stopping
    log.warn({ error: error.message }, 'Warm copies cannot be read; they are tried again.')
    const waited = await clock.sleep(RETRY_MS, signal).then(
      () => true,
      () => false,
    )
    if (!waited) return
    for (const copy of this.#copies.values()) {
      if (signal.aborted) return
      if (copy.store !== undefined)
        await this.#follow(copy, copy.store).catch((thrown: unknown) =>
          log.warn({ ...copy.changelog, error: toError(thrown).message }, 'A warm copy cannot be followed.'),
        )
    }
  }

  /** Everything that has gathered, in one commit; one at a time. */
  async #write(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#writing
    const { stores, clock, topics, onBroken } = this.#deps
    const changes: StoreChange[] = []
    for (const copy of this.#copies.values()) {
      const { store, position } = copy
      if (store === undefined || position === undefined || position <= copy.absorbed) continue
      const checkpoint = { topicId: topics.changelogId(copy.place.part), offset: position, wallTimeMs: clock.now() }
      changes.push({ partition: store, rows: copy.take(), checkpoint })
    }
    if (changes.length > 0) {
      this.#writing = stores.commit(changes).catch((thrown: unknown) => {
        if (!this.#stopping.signal.aborted) onBroken(toError(thrown))
      })
      await this.#writing
    }
    this.#look()
  }

  /** Which tasks have caught up. */
  #look(): void {
    const lags = new Map<string, number>()
    for (const { task, lag } of this.#copies.values()) lags.set(task, (lags.get(task) ?? 0) + lag)
    const before = this.#caughtUp.size
    for (const [task, lag] of lags) if (lag <= this.#deps.acceptableLag) this.#caughtUp.add(task)
    if (this.#caughtUp.size > before) this.#deps.onCaughtUp()
  }
}

function keyOf({ part, partition }: CopyPlace): string {
  return partitionKey({ topic: part.changelog.topic, partition })
}

import {
  type Clock,
  type Logger,
  partitionKey,
  type Reader,
  type RecordBatch,
  type Row,
  type Scheduled,
  type StoreChange,
  type StorePartition,
  type TaskPart,
  toError,
  type TopicPartition,
} from '@millrace/core'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import { planRecovery, whyAnew } from './recovery-plan.ts'
import { taskId } from './task-id.ts'
import type { TaskStores } from './task-stores.ts'

/** A part of a task that is kept warm here. */
export interface CopyPlace {
  readonly part: TaskPart
  readonly partitions: number
  readonly partition: number
}

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
  /** The store cannot be written. */
  readonly onBroken: (error: Error) => void
}

/** One part of one task on its way to being, and staying, as its owner has it. */
class Copy {
  readonly place: CopyPlace
  readonly task: string
  readonly changelog: TopicPartition
  readonly stopping = new AbortController()
  store: StorePartition | undefined
  /** Next changelog offset to read. */
  position = 0
  endOffset = 0
  rows: Row[] = []
  bytes = 0

  constructor(place: CopyPlace) {
    this.place = place
    this.task = taskId(place.partitions, place.partition)
    this.changelog = { topic: place.part.changelog.topic, partition: place.partition }
  }

  /** How much of the changelog is in the store. */
  get absorbed(): number {
    return this.store?.checkpoint()?.offset ?? 0
  }

  absorb(batch: RecordBatch): void {
    for (const { key, value } of batch.records) if (key !== null) this.rows.push({ key, value })
    this.bytes += batch.bytes
    this.position = batch.nextOffset
    this.endOffset = batch.endOffset
  }
}

/**
 * Warm copies: the state of tasks that run elsewhere, read from their changelogs straight into the store. When such a task
 * comes here, its store is handed over as it is, and recovery reads the rest.
 */
export class Standbys {
  readonly #deps: StandbysDeps
  /** By changelog partition. */
  readonly #copies = new Map<string, Copy>()
  readonly #closing = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #reader: Reader | undefined
  #timer: Scheduled | undefined
  #writing: Promise<void> | undefined

  constructor(deps: StandbysDeps) {
    this.#deps = deps
  }

  /** Ids of tasks with all copies that were asked for, and the sum of the changelog offsets that they have absorbed. */
  get warm(): ReadonlyMap<string, number> {
    const warm = new Map<string, number>()
    for (const copy of this.#copies.values()) warm.set(copy.task, (warm.get(copy.task) ?? 0) + copy.absorbed)
    for (const copy of this.#copies.values()) if (copy.store === undefined) warm.delete(copy.task)
    return warm
  }

  /** Copies of a part, for figures. */
  of(part: string): readonly { readonly partition: number; readonly rows: number; readonly lag: number }[] {
    return [...this.#copies.values()].flatMap(({ place, store, endOffset, absorbed }) =>
      place.part.name === part && store !== undefined
        ? [{ partition: place.partition, rows: store.rows, lag: Math.max(0, endOffset - absorbed) }]
        : [],
    )
  }

  /** Keeps exactly these copies from now on. */
  assign(places: readonly CopyPlace[]): void {
    const wanted = new Map(places.map((place) => [keyOf(place), place]))
    for (const [key, copy] of this.#copies) if (!wanted.has(key)) this.#stop(key, copy)
    for (const [key, place] of wanted) {
      if (this.#copies.has(key) || this.#stopping.signal.aborted) continue
      const copy = new Copy(place)
      this.#copies.set(key, copy)
      void this.#start(copy)
    }
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    this.#timer?.cancel()
    this.assign([])
    await this.#reader?.close()
    await Promise.all(this.#closing)
  }

  #stop(key: string, copy: Copy): void {
    this.#copies.delete(key)
    copy.stopping.abort()
    this.#reader?.unassign(copy.changelog)
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

  async #start(copy: Copy): Promise<void> {
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
  async #follow(copy: Copy, store: StorePartition): Promise<void> {
    const { clock, log, topics } = this.#deps
    const { part, partition } = copy.place
    // What was gathered before counts no more, and must not be written over what follows.
    copy.rows = []
    copy.bytes = 0
    copy.position = 0
    await this.#writing
    const reader = this.#open()
    const [bounds] = await reader.offsets([copy.changelog])
    if (copy.stopping.signal.aborted || bounds === undefined || reader !== this.#reader) return
    const changelog = { ...bounds, topicId: topics.changelogId(part), config: topics.changelogConfig(part) }
    const plan = planRecovery(store.checkpoint(), changelog, clock.now())
    const { from, rebuild } = plan
    const reason = whyAnew(plan, store)
    if (reason !== undefined)
      log.warn(
        { table: part.name, partition },
        `The warm copy of partition ${partition} of ${part.name} is built anew: ${reason}.`,
      )
    if (rebuild !== undefined) {
      await store.clear()
      if (copy.stopping.signal.aborted) return
    }
    copy.position = from
    copy.endOffset = bounds.end
    reader.assign(copy.changelog, from)
  }

  #open(): Reader {
    if (this.#reader === undefined) {
      this.#reader = this.#deps.reader()
      void this.#read(this.#reader)
    }
    return this.#reader
  }

  async #read(reader: Reader): Promise<void> {
    try {
      for await (const batch of reader.batches()) {
        const copy = this.#copies.get(partitionKey(batch))
        if (copy?.store === undefined || batch.nextOffset <= copy.position) continue
        copy.absorb(batch)
        if (copy.rows.length >= WRITE_ROWS || copy.bytes >= WRITE_BYTES) await this.#write()
        else this.#timer ??= this.#deps.clock.schedule(WRITE_MS, () => void this.#write())
      }
    } catch (thrown) {
      await this.#readAgain(reader, toError(thrown))
    }
  }

  /** A copy is a convenience: what keeps it from being read does not end the worker. */
  async #readAgain(reader: Reader, error: Error): Promise<void> {
    const { clock, log } = this.#deps
    const { signal } = this.#stopping
    if (signal.aborted) return
    log.warn({ error: error.message }, 'Warm copies cannot be read; they are tried again.')
    this.#reader = undefined
    try {
      await reader.close()
      await clock.sleep(RETRY_MS, signal)
    } catch (thrown) {
      if (!signal.aborted)
        log.debug({ error: toError(thrown).message }, 'A reader of warm copies was not closed cleanly.')
    }
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
      if (copy.store === undefined || copy.position <= copy.absorbed) continue
      const topicId = topics.changelogId(copy.place.part)
      const checkpoint = { topicId, offset: copy.position, wallTimeMs: clock.now() }
      changes.push({ partition: copy.store, rows: copy.rows, checkpoint })
      copy.rows = []
      copy.bytes = 0
    }
    if (changes.length === 0) return
    this.#writing = stores.commit(changes).catch((thrown: unknown) => {
      if (!this.#stopping.signal.aborted) onBroken(toError(thrown))
    })
    await this.#writing
  }
}

function keyOf({ part, partition }: CopyPlace): string {
  return partitionKey({ topic: part.changelog.topic, partition })
}

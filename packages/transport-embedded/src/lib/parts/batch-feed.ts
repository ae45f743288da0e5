import { MillraceError, partitionKey, type LostPosition, type RecordBatch, type TopicPartition } from '@millrace/core'
import { missing } from '../log/plan-append.ts'
import type { LogBackend, ReadLimit } from '../log/log-backend.ts'
import { ChangeSignal } from '../log/change-signal.ts'
import { never, type Lifespan } from './lifespan.ts'

interface Place extends TopicPartition {
  /** `undefined` until the first seek, when it was out of range, and when it is stopped. */
  position: number | undefined
  paused: boolean
}

/** Batches handed out before the event loop gets a turn: on a memory log all else happens in microtasks. */
const BATCHES_A_TURN = 16

export interface BatchFeedDeps {
  readonly backend: LogBackend
  readonly lifespan: Lifespan
  readonly limit: ReadLimit
  /** A position is not in the log. Its partition is silent until `seek`; what this throws is thrown by `next`. */
  readonly onOutOfRange: (lost: LostPosition) => void
}

/**
 * The partitions that a consumer or reader has, and their batches as an async iterable. Reads only when asked for the
 * next batch, so it holds none.
 */
export class BatchFeed implements AsyncIterable<RecordBatch>, AsyncIterator<RecordBatch> {
  readonly #deps: BatchFeedDeps
  readonly #places = new Map<string, Place>()
  readonly #changed = new ChangeSignal()
  readonly #deaf: () => void
  #order: Place[] = []
  #turn = 0
  #thisTurn = 0
  #ended = false
  #failure: Error | undefined

  constructor(deps: BatchFeedDeps) {
    this.#deps = deps
    this.#deaf = deps.backend.changes.records.listen(() => this.#changed.notify())
  }

  has(partition: TopicPartition): boolean {
    return this.#places.has(partitionKey(partition))
  }

  partitions(): readonly TopicPartition[] {
    return this.#order.map(({ topic, partition }) => ({ topic, partition }))
  }

  add(partition: TopicPartition, position: number | undefined): void {
    const { topic } = partition
    this.#places.set(partitionKey(partition), { topic, partition: partition.partition, position, paused: false })
    this.#reorder()
  }

  remove(partition: TopicPartition): void {
    this.#places.delete(partitionKey(partition))
    this.#reorder()
  }

  clear(): void {
    this.#places.clear()
    this.#reorder()
  }

  seek(partition: TopicPartition, position: number): void {
    const place = this.#places.get(partitionKey(partition))
    if (place === undefined) return
    place.position = position
    this.#changed.notify()
  }

  /** Silent until `seek`, and not paused then. */
  stop(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const place = this.#places.get(partitionKey(partition))
      if (place === undefined) continue
      place.position = undefined
      place.paused = false
    }
  }

  setPaused(partitions: readonly TopicPartition[], paused: boolean): void {
    for (const partition of partitions) {
      const place = this.#places.get(partitionKey(partition))
      if (place !== undefined) place.paused = paused
    }
    this.#changed.notify()
  }

  /** Ends the iteration, with an error if one is given. */
  end(failure?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    this.#deaf()
    this.#changed.notify()
  }

  [Symbol.asyncIterator](): AsyncIterator<RecordBatch> {
    return this
  }

  async next(): Promise<IteratorResult<RecordBatch>> {
    if (++this.#thisTurn > BATCHES_A_TURN) await this.#breathe()
    for (;;) {
      if (this.#deps.lifespan.killed) return never()
      if (this.#ended) return this.#finish()
      const changed = this.#changed.next()
      const taken = this.#take()
      if (taken === undefined) await changed
      else if ('beginning' in taken) this.#deps.onOutOfRange(taken)
      else return { done: false, value: taken }
    }
  }

  async return(): Promise<IteratorResult<RecordBatch>> {
    this.end()
    return { done: true, value: undefined }
  }

  #finish(): IteratorResult<RecordBatch> {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
    return { done: true, value: undefined }
  }

  /** The next batch, partitions in turn, or the next position that the log does not have. */
  #take(): RecordBatch | LostPosition | undefined {
    return this.#deps.backend.read((log) => {
      const count = this.#order.length
      for (let tried = 0; tried < count; tried++) {
        const place = this.#order[this.#turn++ % count]
        if (place === undefined || place.paused || place.position === undefined) continue
        const topic = log.topic(place.topic)
        if (topic === undefined) throw missing(place.topic)
        const { start, end } = log.bounds(topic, place.partition)
        const offset = place.position
        if (offset === end) continue
        if (offset < start || offset > end) {
          place.position = undefined
          return { topic: place.topic, partition: place.partition, position: offset, beginning: start, end }
        }
        const { records, bytes, nextOffset } = log.slice(
          topic,
          { partition: place.partition, offset },
          this.#deps.limit,
        )
        place.position = nextOffset
        return {
          topic: place.topic,
          partition: place.partition,
          position: offset,
          records,
          bytes,
          nextOffset,
          endOffset: end,
        }
      }
      return undefined
    })
  }

  async #breathe(): Promise<void> {
    this.#thisTurn = 0
    await new Promise<void>((resolve) => setImmediate(resolve))
  }

  #reorder(): void {
    this.#order = [...this.#places.values()]
    this.#changed.notify()
  }
}

/** For those who cannot go on elsewhere. */
export function throwOutOfRange({ topic, partition, position, beginning, end }: LostPosition): never {
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `Position ${position} of topic "${topic}" partition ${partition} is outside ${beginning}–${end}.`,
  )
}

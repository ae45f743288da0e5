import { MillraceError, partitionKey, type RecordBatch, type TopicPartition } from '@millrace/core'
import type { LostPosition } from '@millrace/core/driver'
import { missing } from './plan-append.ts'
import type { LogBackend, ReadLimit } from './log-backend.ts'
import { ChangeSignal } from './change-signal.ts'
import { never, type Lifespan } from './lifespan.ts'

interface ReadPosition extends TopicPartition {
  /** `undefined` until the first seek, after it was out of range, and while it is stopped. */
  position: number | undefined
  paused: boolean
}

/**
 * How many batches are delivered before the event loop gets a turn: on a memory log everything else happens in
 * microtasks.
 */
const BATCHES_A_TURN = 16

export interface BatchesOptions {
  readonly limit: ReadLimit
  /**
   * Called if a position is not in the log. Its partition is silent until `seek`; `next` throws the errors of this
   * function.
   */
  readonly onOutOfRange: (lost: LostPosition) => void
}

/**
 * The partitions of a consumer or reader, and their batches as an async iterable. Reads only when asked for the next
 * batch, so it holds none.
 */
export class PartitionBatches implements AsyncIterable<RecordBatch>, AsyncIterator<RecordBatch> {
  readonly #backend: LogBackend
  readonly #lifespan: Lifespan
  readonly #options: BatchesOptions
  readonly #positions = new Map<string, ReadPosition>()
  readonly #changed = new ChangeSignal()
  readonly #unlisten: () => void
  #order: ReadPosition[] = []
  #turn = 0
  #thisTurn = 0
  #ended = false
  #failure: Error | undefined

  /** `lifespan` is that of the client. */
  constructor(backend: LogBackend, lifespan: Lifespan, options: BatchesOptions) {
    this.#backend = backend
    this.#lifespan = lifespan
    this.#options = options
    this.#unlisten = backend.changes.records.listen(() => this.#changed.notify())
  }

  has(partition: TopicPartition): boolean {
    return this.#positions.has(partitionKey(partition))
  }

  partitions(): readonly TopicPartition[] {
    return this.#order.map(({ topic, partition }) => ({ topic, partition }))
  }

  add(partition: TopicPartition, position: number | undefined): void {
    const { topic } = partition
    this.#positions.set(partitionKey(partition), { topic, partition: partition.partition, position, paused: false })
    this.#reorder()
  }

  remove(partition: TopicPartition): void {
    this.#positions.delete(partitionKey(partition))
    this.#reorder()
  }

  clear(): void {
    this.#positions.clear()
    this.#reorder()
  }

  seek(partition: TopicPartition, position: number): void {
    const reading = this.#positions.get(partitionKey(partition))
    if (reading === undefined) return
    reading.position = position
    this.#changed.notify()
  }

  /** Stops partitions until `seek`, which also resumes them. */
  stop(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const reading = this.#positions.get(partitionKey(partition))
      if (reading === undefined) continue
      reading.position = undefined
      reading.paused = false
    }
  }

  setPaused(partitions: readonly TopicPartition[], paused: boolean): void {
    for (const partition of partitions) {
      const reading = this.#positions.get(partitionKey(partition))
      if (reading !== undefined) reading.paused = paused
    }
    this.#changed.notify()
  }

  /** Ends the iteration, with an error if one is given. */
  end(failure?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    this.#unlisten()
    this.#changed.notify()
  }

  [Symbol.asyncIterator](): AsyncIterator<RecordBatch> {
    return this
  }

  async next(): Promise<IteratorResult<RecordBatch>> {
    if (++this.#thisTurn > BATCHES_A_TURN) await this.#yield()
    for (;;) {
      if (this.#lifespan.killed) return never()
      if (this.#ended) return this.#finish()
      const changed = this.#changed.next()
      const taken = this.#take()
      if (taken === undefined) await changed
      else if ('beginning' in taken) this.#options.onOutOfRange(taken)
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
    return this.#backend.read((log) => {
      const count = this.#order.length
      for (let tried = 0; tried < count; tried++) {
        const reading = this.#order[this.#turn++ % count]
        if (reading === undefined || reading.paused || reading.position === undefined) continue
        const topic = log.topic(reading.topic)
        if (topic === undefined) throw missing(reading.topic)
        const { start, end } = log.bounds(topic, reading.partition)
        const offset = reading.position
        if (offset === end) continue
        if (offset < start || offset > end) {
          reading.position = undefined
          return { topic: reading.topic, partition: reading.partition, position: offset, beginning: start, end }
        }
        const { records, bytes, nextOffset } = log.slice(
          topic,
          { partition: reading.partition, offset },
          this.#options.limit,
        )
        reading.position = nextOffset
        return {
          topic: reading.topic,
          partition: reading.partition,
          position: offset,
          records,
          bytes,
          nextOffset,
          endOffset: end,
          // This log has neither control records nor aborted ones.
          whole: records.length === nextOffset - offset,
        }
      }
      return undefined
    })
  }

  async #yield(): Promise<void> {
    this.#thisTurn = 0
    await new Promise<void>((resolve) => setImmediate(resolve))
  }

  #reorder(): void {
    this.#order = [...this.#positions.values()]
    this.#changed.notify()
  }
}

/** Throws for clients that cannot continue elsewhere. */
export function throwOutOfRange({ topic, partition, position, beginning, end }: LostPosition): never {
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `Position ${position} of topic "${topic}" partition ${partition} is outside ${beginning}–${end}.`,
  )
}

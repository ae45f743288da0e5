import { deferred, type Deferred, MillraceError, type RecordBatch, toError, type TopicPartition } from '@millrace/core'
import type { BrokenBatches } from '@millrace/core/driver'
import type { Decoded, UnreadableBatch } from '../wire/record-set.ts'
import type { FetchedSet, Position } from './position.ts'

/** The fetcher, as the batches see it. */
interface Fetching {
  /** Called when a reader waits for a batch or has taken one, and more should be fetched. */
  fetchMore(): void
  /** Called when fetched data does not match its checksum. It may be intact when it is fetched again. */
  fetchAgain(position: Position, why: string): void
}

/** A batch that is damaged in this many fetches is damaged on the broker. */
const DAMAGED_UNTIL_FAILED = 3

/**
 * Fetched data as an async iterable of batches, to be iterated once. Nothing is fetched before a batch is asked for,
 * and only the batches that are delivered next are decoded, of one partition at a time and a part at a time. So the
 * unpacked contents of a fetch are never in memory all at once.
 */
export class FetchedBatches implements AsyncIterable<RecordBatch>, AsyncIterator<RecordBatch, undefined> {
  readonly #fetching: Fetching
  readonly #brokenBatches: BrokenBatches
  /** Positions with data to deliver, the next one first. */
  readonly #ready: Position[] = []
  /** A large batch is being unpacked, and later ones wait for it. */
  #unpacking = false
  #waiting: Deferred<IteratorResult<RecordBatch, undefined>> | undefined
  #failure: Error | undefined
  #ended = false

  constructor(fetching: Fetching, brokenBatches: BrokenBatches) {
    this.#fetching = fetching
    this.#brokenBatches = brokenBatches
  }

  /** Whether there will be further batches. */
  get open(): boolean {
    return !this.#ended && this.#failure === undefined
  }

  [Symbol.asyncIterator](): AsyncIterator<RecordBatch, undefined> {
    return this
  }

  next(): Promise<IteratorResult<RecordBatch, undefined>> {
    if (this.#ended) return Promise.resolve({ value: undefined, done: true })
    const batch = this.#failure === undefined ? this.#take() : undefined
    if (batch !== undefined) {
      this.#fetching.fetchMore()
      return Promise.resolve({ value: batch, done: false })
    }
    // Taking a batch may have failed just now.
    if (this.#failure !== undefined) {
      this.#ended = true
      return Promise.reject(this.#failure)
    }
    const waiting = (this.#waiting ??= deferred())
    this.#fetching.fetchMore()
    return waiting.promise
  }

  return(): Promise<IteratorResult<RecordBatch, undefined>> {
    this.end()
    return Promise.resolve({ value: undefined, done: true })
  }

  /** Called when data has arrived, or may be fetched now. Delivers a batch to the waiting reader. */
  wake(): void {
    if (this.#waiting === undefined) return
    const batch = this.#take()
    if (batch !== undefined) {
      this.#waiting.resolve({ value: batch, done: false })
      this.#waiting = undefined
    }
    this.#fetching.fetchMore()
  }

  /** Makes the iteration throw. The first failure counts. */
  fail(error: Error): void {
    if (!this.open) return
    this.#failure = error
    if (this.#waiting === undefined) return
    this.#ended = true
    this.#waiting.reject(error)
    this.#waiting = undefined
  }

  end(): void {
    this.#ended = true
    this.#waiting?.resolve({ value: undefined, done: true })
    this.#waiting = undefined
  }

  /** Called when data of a position can be delivered. */
  add(position: Position): void {
    if (!this.#ready.includes(position)) this.#ready.push(position)
  }

  /** The next available batch. An unreadable one ends reading, unless broken batches are delivered. */
  #take(): RecordBatch | undefined {
    if (this.#unpacking) return undefined
    try {
      for (let position = this.#ready.shift(); position !== undefined; position = this.#ready.shift()) {
        const { fetched } = position
        // The position may have been paused, moved or removed since. `add` puts a paused one back.
        if (fetched === undefined || position.paused || position.removed) continue
        const decoded = fetched.decoded ?? fetched.set.next()
        if (decoded instanceof Promise) {
          void this.#wait(position, fetched, decoded)
          return undefined
        }
        fetched.decoded = undefined
        if (fetched.set.exhausted) position.fetched = undefined
        else this.#ready.push(position)
        const batch = this.#batchOf(position, decoded, fetched.endOffset)
        if (batch !== undefined) return batch
      }
    } catch (error) {
      this.fail(toError(error))
    }
    return undefined
  }

  async #wait(position: Position, fetched: FetchedSet, decoding: Promise<Decoded>): Promise<void> {
    this.#unpacking = true
    try {
      fetched.decoded = await decoding
      if (position.fetched === fetched && !this.#ready.includes(position)) this.#ready.unshift(position)
    } catch (error) {
      this.fail(toError(error))
    } finally {
      this.#unpacking = false
    }
    this.wake()
  }

  /**
   * Moves the position on. `undefined` if there is nothing new, or the data must be fetched again. Throws a permanent
   * error.
   */
  #batchOf(position: Position, decoded: Decoded, endOffset: number): RecordBatch | undefined {
    const { topic, partition, offset } = position
    if (decoded.kind === 'records') {
      const { records, nextOffset, bytes, clampedTimestamps, whole } = decoded
      if (nextOffset === offset) return undefined
      position.damaged = 0
      position.offset = nextOffset
      const batch = { topic, partition, position: offset, records, nextOffset, bytes, endOffset, whole }
      return clampedTimestamps === 0 ? batch : { ...batch, clampedTimestamps }
    }
    if (decoded.error.code === 'BATCH_CORRUPT' && ++position.damaged < DAMAGED_UNTIL_FAILED) {
      position.fetched = undefined
      this.#fetching.fetchAgain(position, decoded.error.detail)
      return undefined
    }
    const error = located(position, decoded)
    const { data, nextOffset } = decoded
    if (this.#brokenBatches === 'throw' || nextOffset === undefined) throw error
    position.damaged = 0
    position.offset = nextOffset
    const broken = { error, data }
    return { topic, partition, position: offset, records: [], nextOffset, bytes: 0, endOffset, broken }
  }
}

/** Adds the location to the error. */
function located({ topic, partition }: TopicPartition, { error, firstOffset, nextOffset }: UnreadableBatch): Error {
  const last = (nextOffset ?? firstOffset) - 1
  const where = last > firstOffset ? `offsets ${firstOffset} to ${last}` : `offset ${firstOffset}`
  const unknown = nextOffset === undefined ? ' It is not known where the batch ends.' : ''
  const detail = `Topic "${topic}" partition ${partition}, ${where}: ${error.detail}${unknown}`
  return new MillraceError(error.code, detail, { cause: error })
}

import { type BrokenBatches, MillraceError, type RecordBatch, toError, type TopicPartition } from '@millrace/core'
import type { Decoded, UnreadableBatch } from '../wire/record-set.ts'
import type { FetchedSet, Position } from './position.ts'

export interface FetchedSetsDeps {
  readonly brokenBatches: BrokenBatches
  /** Not given away since, nor given back anew. */
  readonly isCurrent: (position: Position) => boolean
  /** What came does not match its checksum, and may be whole when it is fetched again. */
  readonly onDamaged: (position: Position, why: string) => void
  /** Something that had to be waited for is decoded. */
  readonly onDecoded: () => void
  /** Reading ends. */
  readonly fail: (error: Error) => void
}

/** Fetched so often, a batch that is damaged each time is damaged on the broker. */
const DAMAGED_UNTIL_FAILED = 3

/**
 * What was fetched, on its way out. Decoded is only what is handed out next: of one partition at a time, a stretch at a
 * time, so that what a fetch unpacks to is never in memory all at once.
 */
export class FetchedSets {
  readonly #deps: FetchedSetsDeps
  /** The next one first. */
  readonly #ready: Position[] = []
  /** Something large is being unpacked: what comes next waits for it. */
  #unpacking = false

  constructor(deps: FetchedSetsDeps) {
    this.#deps = deps
  }

  /** Something of it can be handed out. */
  add(position: Position): void {
    if (!this.#ready.includes(position)) this.#ready.push(position)
  }

  /** The next batch. What cannot be read ends reading, unless broken batches are delivered. */
  take(): RecordBatch | undefined {
    if (this.#unpacking) return undefined
    try {
      for (let position = this.#ready.shift(); position !== undefined; position = this.#ready.shift()) {
        const { fetched } = position
        // Paused, sought or given away since: `add` puts a paused one back.
        if (fetched === undefined || position.paused || !this.#deps.isCurrent(position)) continue
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
      this.#deps.fail(toError(error))
    }
    return undefined
  }

  async #wait(position: Position, fetched: FetchedSet, decoding: Promise<Decoded>): Promise<void> {
    this.#unpacking = true
    try {
      fetched.decoded = await decoding
      if (position.fetched === fetched && !this.#ready.includes(position)) this.#ready.unshift(position)
    } catch (error) {
      this.#deps.fail(toError(error))
    } finally {
      this.#unpacking = false
    }
    this.#deps.onDecoded()
  }

  /** Moves the position on. `undefined` when there is nothing new, or it must be fetched again. Throws what is for good. */
  #batchOf(position: Position, decoded: Decoded, endOffset: number): RecordBatch | undefined {
    const { topic, partition, offset } = position
    if (decoded.kind === 'records') {
      const { records, nextOffset, bytes, clampedTimestamps } = decoded
      if (nextOffset === offset) return undefined
      position.damaged = 0
      position.offset = nextOffset
      const batch = { topic, partition, position: offset, records, nextOffset, bytes, endOffset }
      return clampedTimestamps === 0 ? batch : { ...batch, clampedTimestamps }
    }
    if (decoded.error.code === 'BATCH_CORRUPT' && ++position.damaged < DAMAGED_UNTIL_FAILED) {
      position.fetched = undefined
      this.#deps.onDamaged(position, decoded.error.detail)
      return undefined
    }
    const error = located(position, decoded)
    const { data, nextOffset } = decoded
    if (this.#deps.brokenBatches === 'throw' || nextOffset === undefined) throw error
    position.damaged = 0
    position.offset = nextOffset
    const broken = { error, data }
    return { topic, partition, position: offset, records: [], nextOffset, bytes: 0, endOffset, broken }
  }
}

/** The error with the place that it is about. */
function located({ topic, partition }: TopicPartition, { error, firstOffset, nextOffset }: UnreadableBatch): Error {
  const last = (nextOffset ?? firstOffset) - 1
  const where = last > firstOffset ? `offsets ${firstOffset} to ${last}` : `offset ${firstOffset}`
  const unknown = nextOffset === undefined ? ' Where the batch ends cannot be told.' : ''
  const detail = `Topic "${topic}" partition ${partition}, ${where}: ${error.detail}${unknown}`
  return new MillraceError(error.code, detail, { cause: error })
}

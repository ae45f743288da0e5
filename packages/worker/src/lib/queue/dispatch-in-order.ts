import type { HandOut } from '../environment/hand-out.ts'
import { NOT_NOW } from '../environment/not-now.ts'
import type { PartitionCursor } from '../task/cursor.ts'
import { type EventInFlight, eventOf } from '../task/event-in-flight.ts'
import type { Dispatcher, RecordQueue } from './record-queue.ts'

/** Events of one partition in a row, before another gets its turn. */
const CHUNK_EVENTS = 256

/** Gives events straight from the partitions: to a single instance, or to several that may take any event. */
export class DispatchInOrder implements Dispatcher {
  readonly #handOut: HandOut
  #cursors: readonly PartitionCursor[] = []
  #next = 0
  #current: PartitionCursor | undefined = undefined
  #credit = 0
  #chunkTurn = 0

  constructor(handOut: HandOut) {
    this.#handOut = handOut
  }

  setCursors(cursors: readonly PartitionCursor[]): void {
    this.#cursors = cursors
    this.#current = undefined
    this.#next = 0
  }

  next(queue: RecordQueue): EventInFlight | undefined {
    const cursor = this.#current
    const handOut = this.#handOut
    if (cursor !== undefined && this.#credit > 0 && this.#chunkTurn === handOut.turn)
      if ((handOut.blocked | cursor.task.blocked | cursor.blocked) === 0) {
        const record = cursor.next()
        if (record !== undefined) {
          this.#credit--
          return eventOf(record, cursor, queue)
        }
      }
    return this.#nextChunk(queue)
  }

  hasNext(): boolean {
    if ((this.#handOut.blocked & NOT_NOW.rows) !== 0) return false
    for (const { blocked, task } of this.#cursors) if ((blocked | task.blocked) === 0) return true
    return false
  }

  defer(on: boolean): void {
    for (const cursor of this.#cursors) cursor.defer(on)
  }

  waitsForInstance(cursor: PartitionCursor, queues: readonly RecordQueue[]): boolean {
    return cursor.hasFetched && queues.every(({ isWaiting }) => !isWaiting)
  }

  #nextChunk(queue: RecordQueue): EventInFlight | undefined {
    this.#current = undefined
    if (this.#handOut.refresh() !== 0) return undefined
    const count = this.#cursors.length
    for (let tried = 0; tried < count; tried++) {
      this.#next = this.#next + 1 < count ? this.#next + 1 : 0
      const cursor = this.#cursors[this.#next]
      if (cursor === undefined || cursor.task.blocked !== 0 || cursor.refresh() !== 0) continue
      const record = cursor.next()
      if (record === undefined) continue
      this.#current = cursor
      this.#credit = CHUNK_EVENTS - 1
      this.#chunkTurn = this.#handOut.turn
      return eventOf(record, cursor, queue)
    }
    return undefined
  }
}

import type { HandOut } from '../environment/hand-out.ts'
import type { EventOrigin } from '../task/event-origin.ts'
import { type EventInFlight, eventOf } from '../task/event-in-flight.ts'
import type { Dispatcher, RecordQueue } from './record-queue.ts'

/** How many events of one partition go out in a row before it is another one's turn. */
const CHUNK_EVENTS = 256

/** Gives events straight from the partitions: to a single instance, or to several that may take any event. */
export class DispatchInOrder implements Dispatcher {
  readonly #handOut: HandOut
  #origins: readonly EventOrigin[] = []
  #next = 0
  #current: EventOrigin | undefined = undefined
  #credit = 0
  #chunkTurn = 0

  constructor(handOut: HandOut) {
    this.#handOut = handOut
  }

  setOrigins(origins: readonly EventOrigin[]): void {
    this.#origins = origins
    this.#current = undefined
    this.#next = 0
  }

  next(queue: RecordQueue): EventInFlight | undefined {
    const origin = this.#current
    const handOut = this.#handOut
    if (origin !== undefined && this.#credit > 0 && this.#chunkTurn === handOut.turn)
      if ((handOut.blocked | origin.task.blocked | origin.blocked) === 0) {
        const record = origin.next()
        if (record !== undefined) {
          this.#credit--
          return eventOf(record, origin, queue)
        }
      }
    return this.#nextChunk(queue)
  }

  hasNext(): boolean {
    for (const { blocked, task } of this.#origins) if ((blocked | task.blocked) === 0) return true
    return false
  }

  defer(on: boolean): void {
    for (const origin of this.#origins) origin.defer(on)
  }

  waitsForInstance(origin: EventOrigin, queues: readonly RecordQueue[]): boolean {
    return origin.hasMore && queues.every(({ isWaiting }) => !isWaiting)
  }

  #nextChunk(queue: RecordQueue): EventInFlight | undefined {
    this.#current = undefined
    if (this.#handOut.refresh() !== 0) return undefined
    const count = this.#origins.length
    for (let tried = 0; tried < count; tried++) {
      this.#next = this.#next + 1 < count ? this.#next + 1 : 0
      const origin = this.#origins[this.#next]
      if (origin === undefined || origin.task.blocked !== 0 || origin.refresh() !== 0) continue
      const record = origin.next()
      if (record === undefined) continue
      this.#current = origin
      this.#credit = CHUNK_EVENTS - 1
      this.#chunkTurn = this.#handOut.turn
      return eventOf(record, origin, queue)
    }
    return undefined
  }
}

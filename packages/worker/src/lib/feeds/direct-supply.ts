import type { PartitionCursor } from './partition-cursor.ts'
import { Event } from './event.ts'
import type { Feed, FeedSupply } from './feed.ts'
import type { HandOutGate } from './hand-out-gate.ts'

/** Events of one partition in a row, before another gets its turn. */
const CHUNK_EVENTS = 256

/** Straight from the partition buffers: for a single instance, or for several that may take whatever comes. */
export class DirectSupply implements FeedSupply {
  readonly #gate: HandOutGate
  #cursors: readonly PartitionCursor[] = []
  #turn = 0
  #current: PartitionCursor | undefined = undefined
  #credit = 0
  #chunkTurn = 0

  constructor(gate: HandOutGate) {
    this.#gate = gate
  }

  setCursors(cursors: readonly PartitionCursor[]): void {
    this.#cursors = cursors
    this.#current = undefined
    this.#turn = 0
  }

  next(feed: Feed): Event | undefined {
    const cursor = this.#current
    const goesOn = this.#credit > 0 && this.#chunkTurn === this.#gate.turn && !this.#gate.closedToNew
    if (cursor !== undefined && goesOn && !cursor.task.closedToNew) {
      const record = cursor.next()
      if (record !== undefined) {
        this.#credit--
        const slot = { home: feed, cursor, number: cursor.tracker.hand(record.offset), order: feed.nextOrder() }
        return new Event(slot, record, cursor.attemptsAt(record.offset))
      }
    }
    return this.#nextChunk(feed)
  }

  hasNext(): boolean {
    if (this.#gate.closedToNew) return false
    for (const cursor of this.#cursors) if (cursor.mayGoOn()) return true
    return false
  }

  #nextChunk(feed: Feed): Event | undefined {
    this.#current = undefined
    if (this.#gate.closedToNew || !this.#gate.admit()) return undefined
    const count = this.#cursors.length
    for (let tried = 0; tried < count; tried++) {
      this.#turn = this.#turn + 1 < count ? this.#turn + 1 : 0
      const cursor = this.#cursors[this.#turn]
      if (cursor === undefined || !cursor.admit()) continue
      const record = cursor.next()
      if (record === undefined) continue
      this.#current = cursor
      this.#credit = CHUNK_EVENTS - 1
      this.#chunkTurn = this.#gate.turn
      const slot = { home: feed, cursor, number: cursor.tracker.hand(record.offset), order: feed.nextOrder() }
      return new Event(slot, record, cursor.attemptsAt(record.offset))
    }
    return undefined
  }
}

import { murmur2, type RawRecord } from '@millrace/core'
import { Event } from './event.ts'
import type { Feed, FeedSupply } from './feed.ts'
import type { HandOutGate } from './hand-out-gate.ts'
import type { PartitionCursor } from './partition-cursor.ts'

/** Events of one partition sorted in a row, before another gets its turn. */
const CHUNK_EVENTS = 256

/** A queue per instance. */
class SortedPartition {
  readonly cursor: PartitionCursor
  readonly #queues: Event[][]
  readonly #heads: number[]

  constructor(cursor: PartitionCursor, instances: number) {
    this.cursor = cursor
    this.#queues = Array.from({ length: instances }, () => [])
    this.#heads = Array.from({ length: instances }, () => 0)
  }

  has(instance: number): boolean {
    return (this.#queues[instance]?.length ?? 0) > 0
  }

  push(instance: number, event: Event): void {
    this.#queues[instance]?.push(event)
  }

  shift(instance: number): Event | undefined {
    const queue = this.#queues[instance]
    const head = this.#heads[instance] ?? 0
    const event = queue?.[head]
    if (queue === undefined || event === undefined) return undefined
    if (head + 1 === queue.length) {
      queue.length = 0
      this.#heads[instance] = 0
    } else if (head > 64 && head * 2 > queue.length) {
      queue.splice(0, head + 1)
      this.#heads[instance] = 0
    } else this.#heads[instance] = head + 1
    return event
  }

  count(): number {
    return this.#queues.reduce((sum, queue, instance) => sum + queue.length - (this.#heads[instance] ?? 0), 0)
  }
}

/** Sorts events to the instances of an agent by key, so that the order per key holds; records without a key go round. */
export class KeyedSupply implements FeedSupply {
  readonly #gate: HandOutGate
  readonly #maxSorted: number
  #feeds: readonly Feed[] = []
  #partitions: readonly SortedPartition[] = []
  /** Where each instance looks next. */
  #turns: number[] = []
  #sortTurn = 0
  #roundRobin = 0
  #admittedTurn = -1
  #sorted = 0
  /** Sorting has stopped at the bound while somebody had nothing. */
  #starved = false

  constructor(gate: HandOutGate, maxSorted: number) {
    this.#gate = gate
    this.#maxSorted = maxSorted
  }

  setFeeds(feeds: readonly Feed[]): void {
    this.#feeds = feeds
    this.#turns = feeds.map((feed) => feed.index)
  }

  setCursors(cursors: readonly PartitionCursor[]): void {
    const known = new Map(this.#partitions.map((partition) => [partition.cursor, partition]))
    this.#partitions = cursors.map((cursor) => known.get(cursor) ?? new SortedPartition(cursor, this.#feeds.length))
    this.#sorted = this.#partitions.reduce((sum, partition) => sum + partition.count(), 0)
  }

  next(feed: Feed): Event | undefined {
    if (this.#admittedTurn !== this.#gate.turn) {
      if (!this.#gate.admit()) return undefined
      this.#admittedTurn = this.#gate.turn
    }
    const event = this.#shift(feed.index) ?? (this.#sortFor(feed) ? this.#shift(feed.index) : undefined)
    if (this.#starved && this.#sorted < this.#maxSorted / 2) this.arrived()
    return event
  }

  hasNext(feed: Feed): boolean {
    for (const partition of this.#partitions) if (!partition.cursor.task.held && partition.has(feed.index)) return true
    return false
  }

  /** Records have come, or hand-out goes on: sorts them and wakes those who wait. */
  arrived(): void {
    this.#starved = false
    while (this.#sortChunks());
    for (const feed of this.#feeds) if (feed.isWaiting) feed.wake()
  }

  #shift(instance: number): Event | undefined {
    const count = this.#partitions.length
    let turn = this.#turns[instance] ?? 0
    for (let tried = 0; tried < count; tried++) {
      turn = turn + 1 < count ? turn + 1 : 0
      const partition = this.#partitions[turn]
      if (partition === undefined || partition.cursor.task.held) continue
      const event = partition.shift(instance)
      if (event === undefined) continue
      this.#turns[instance] = turn
      this.#sorted--
      return event
    }
    return undefined
  }

  /** Sorts until the feed has an event. */
  #sortFor(feed: Feed): boolean {
    while (this.#sortChunks()) if (this.hasNext(feed)) return true
    return this.hasNext(feed)
  }

  /** Sorts a chunk of one partition; false when there is nothing to sort or no room. */
  #sortChunks(): boolean {
    if (this.#sorted >= this.#maxSorted) {
      this.#starved = true
      return false
    }
    if (this.#gate.closedToNew || !this.#gate.admit()) return false
    const count = this.#partitions.length
    for (let tried = 0; tried < count; tried++) {
      this.#sortTurn = this.#sortTurn + 1 < count ? this.#sortTurn + 1 : 0
      const partition = this.#partitions[this.#sortTurn]
      if (partition !== undefined && partition.cursor.admit() && this.#sortSome(partition)) return true
    }
    return false
  }

  #sortSome(partition: SortedPartition): boolean {
    const room = Math.min(CHUNK_EVENTS, this.#maxSorted - this.#sorted)
    let count = 0
    for (; count < room; count++) {
      const record = partition.cursor.next()
      if (record === undefined) break
      const instance = this.#instanceOf(record)
      const feed = this.#feeds[instance]
      if (feed === undefined) break
      const slot = {
        home: feed,
        cursor: partition.cursor,
        number: partition.cursor.tracker.hand(record.offset),
        order: feed.nextOrder(),
      }
      partition.push(instance, new Event(slot, record, partition.cursor.attemptsAt(record.offset)))
      if (feed.isWaiting) feed.wake()
    }
    this.#sorted += count
    return count > 0
  }

  #instanceOf({ key }: RawRecord): number {
    const instances = this.#feeds.length
    if (key === null) return this.#roundRobin++ % instances
    // All keys of a partition agree in their hash modulo the partition count: mix it before it is used again.
    return (Math.imul(murmur2(key), 0x9e3779b1) >>> 8) % instances
  }
}

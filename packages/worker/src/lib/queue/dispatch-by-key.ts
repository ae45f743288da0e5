import type { RawRecord } from '@millrace/core'
import { murmur2 } from '@millrace/core/driver'
import type { HandOut } from '../environment/hand-out.ts'
import { HOLDS_TAKEN } from '../environment/not-now.ts'
import type { EventOrigin } from '../task/event-origin.ts'
import { type EventInFlight, eventOf } from '../task/event-in-flight.ts'
import type { Dispatcher, RecordQueue } from './record-queue.ts'

/** How many events of one partition are sorted in a row before it is another one's turn. */
const CHUNK_EVENTS = 256

/** So many taken events are kept in memory at most, for each instance, before their places are given back. */
const MOST_TAKEN = 64

/** The sorted events of one partition, in a queue for each instance. */
class SortedPartition {
  readonly origin: EventOrigin
  readonly #queues: EventInFlight[][]
  /** How many events at the beginning of each queue were taken. */
  readonly #heads: number[] = []

  constructor(origin: EventOrigin, instances: number) {
    this.origin = origin
    this.#queues = Array.from({ length: instances }, () => [])
  }

  /** Whether the partition's task is here and open, and its agent takes events. */
  get isOpen(): boolean {
    return ((this.origin.task.blocked | this.origin.blocked) & HOLDS_TAKEN) === 0
  }

  has(instance: number): boolean {
    return (this.#queues[instance]?.length ?? 0) > 0
  }

  push(instance: number, event: EventInFlight): void {
    this.#queues[instance]?.push(event)
  }

  shift(instance: number): EventInFlight | undefined {
    const queue = this.#queues[instance]
    const head = this.#heads[instance] ?? 0
    const event = queue?.[head]
    if (queue === undefined || event === undefined) return undefined
    if (head + 1 === queue.length) {
      queue.length = 0
      this.#heads[instance] = 0
    } else if (head === MOST_TAKEN) {
      queue.splice(0, head + 1)
      this.#heads[instance] = 0
    } else this.#heads[instance] = head + 1
    return event
  }

  count(): number {
    return this.#queues.reduce((sum, queue, instance) => sum + queue.length - (this.#heads[instance] ?? 0), 0)
  }
}

/**
 * Sorts events to the instances of an agent by key, so that the order per key is kept. Records without a key are spread
 * over all instances.
 */
export class DispatchByKey implements Dispatcher {
  readonly #handOut: HandOut
  readonly #maxSorted: number
  #queues: readonly RecordQueue[] = []
  #partitions: readonly SortedPartition[] = []
  /** The partition from which each instance took its last event. */
  #turns: number[] = []
  #sortTurn = 0
  #roundRobin = 0
  #refreshedTurn = -1
  #sorted = 0
  /** Sorting has stopped at the bound, perhaps while an instance had no event. */
  #starved = false

  constructor(handOut: HandOut, maxSorted: number) {
    this.#handOut = handOut
    this.#maxSorted = maxSorted
  }

  setQueues(queues: readonly RecordQueue[]): void {
    this.#queues = queues
    this.#turns = queues.map((queue) => queue.index)
  }

  setOrigins(origins: readonly EventOrigin[]): void {
    const known = new Map(this.#partitions.map((partition) => [partition.origin, partition]))
    this.#partitions = origins.map((origin) => known.get(origin) ?? new SortedPartition(origin, this.#queues.length))
    this.#sorted = this.#partitions.reduce((sum, partition) => sum + partition.count(), 0)
  }

  next(queue: RecordQueue): EventInFlight | undefined {
    const handOut = this.#handOut
    if (this.#refreshedTurn !== handOut.turn) {
      if (handOut.refresh() !== 0) return undefined
      this.#refreshedTurn = handOut.turn
    }
    const event = this.#shift(queue.index) ?? (this.#sortFor(queue) ? this.#shift(queue.index) : undefined)
    if (this.#starved && this.#sorted < this.#maxSorted / 2) this.arrived()
    return event
  }

  hasNext(queue: RecordQueue): boolean {
    for (const partition of this.#partitions) if (partition.isOpen && partition.has(queue.index)) return true
    return false
  }

  /** Nothing to do, because only events with the same key wait behind a deferred event. */
  defer(): void {}

  waitsForInstance(origin: EventOrigin, queues: readonly RecordQueue[]): boolean {
    const isSorted = this.#partitions.some(
      (partition) =>
        partition.origin === origin && queues.some((queue) => !queue.isWaiting && partition.has(queue.index)),
    )
    return isSorted || (origin.hasMore && this.#starved)
  }

  /** Called when records have arrived or hand-out continues: sorts them, and wakes the instances that they are for. */
  arrived(): void {
    this.#starved = false
    while (this.#sortChunk());
  }

  #shift(instance: number): EventInFlight | undefined {
    const count = this.#partitions.length
    let turn = this.#turns[instance] ?? 0
    for (let tried = 0; tried < count; tried++) {
      turn = turn + 1 < count ? turn + 1 : 0
      const partition = this.#partitions[turn]
      if (partition === undefined || !partition.isOpen) continue
      const event = partition.shift(instance)
      if (event === undefined) continue
      this.#turns[instance] = turn
      this.#sorted--
      return event
    }
    return undefined
  }

  /** Sorts until the queue has an event. Returns false if it gets none. */
  #sortFor(queue: RecordQueue): boolean {
    while (this.#sortChunk()) if (this.hasNext(queue)) return true
    return this.hasNext(queue)
  }

  /** Sorts a chunk of one partition. Returns false if there is nothing to sort, or no room. */
  #sortChunk(): boolean {
    if (this.#sorted >= this.#maxSorted) {
      this.#starved = true
      return false
    }
    if (this.#handOut.refresh() !== 0) return false
    const count = this.#partitions.length
    for (let tried = 0; tried < count; tried++) {
      this.#sortTurn = this.#sortTurn + 1 < count ? this.#sortTurn + 1 : 0
      const partition = this.#partitions[this.#sortTurn]
      if (partition === undefined) continue
      const { origin } = partition
      if (origin.task.blocked === 0 && origin.refresh() === 0 && this.#sortSome(partition)) return true
    }
    return false
  }

  #sortSome(partition: SortedPartition): boolean {
    const room = Math.min(CHUNK_EVENTS, this.#maxSorted - this.#sorted)
    let count = 0
    for (; count < room; count++) {
      const record = partition.origin.next()
      if (record === undefined) break
      const instance = this.#instanceOf(record)
      const queue = this.#queues[instance]
      if (queue === undefined) break
      partition.push(instance, eventOf(record, partition.origin, queue))
      queue.wake()
    }
    this.#sorted += count
    return count > 0
  }

  #instanceOf({ key }: RawRecord): number {
    const instances = this.#queues.length
    if (key === null) return this.#roundRobin++ % instances
    // The hash is mixed before it is used again, because all keys of a partition have the same hash modulo the
    // partition count.
    return (Math.imul(murmur2(key), 0x9e3779b1) >>> 8) % instances
  }
}

import { MillraceError, type TopicPartition } from '@millrace/core'
import { partitionForKey, type SpreadPartitioner } from '@millrace/core/driver'
import type { Delay } from './delays.ts'
import type { Outgoing } from './outgoing.ts'

/**
 * The limits of one request. Only one request is under way at a time: if they were small, sends would wait for turns of
 * the event loop (decision 011).
 */
const MAX_SEND_RECORDS = 5000
const MAX_SEND_BYTES = 2 * 1024 * 1024

/** The records that wait for the next request to one broker. */
export class BrokerQueue {
  sending = false
  #queue: Outgoing[] = []
  #head = 0
  #queuedBytes = 0

  push(record: Outgoing): void {
    this.#queue.push(record)
    this.#queuedBytes += record.size
  }

  get isEmpty(): boolean {
    return this.#head === this.#queue.length
  }

  get isFull(): boolean {
    return this.#queue.length - this.#head >= MAX_SEND_RECORDS || this.#queuedBytes >= MAX_SEND_BYTES
  }

  /** Takes the records of the next request. */
  take(): readonly Outgoing[] {
    let end = this.#head
    let bytes = 0
    for (; end < this.#queue.length && end - this.#head < MAX_SEND_RECORDS; end++) {
      const size = this.#queue[end]?.size ?? 0
      if (end > this.#head && bytes + size > MAX_SEND_BYTES) break
      bytes += size
    }
    this.#queuedBytes -= bytes
    const isLast = end === this.#queue.length
    const taken = this.#head === 0 && isLast ? this.#queue : this.#queue.slice(this.#head, end)
    if (isLast) {
      this.#queue = []
      this.#head = 0
    } else this.#head = end
    return taken
  }

  /** Removes and returns the records that wait for one partition. */
  takeOut(partition: TopicPartition): readonly Outgoing[] {
    const taken: Outgoing[] = []
    const left: Outgoing[] = []
    for (const record of this.#queue.slice(this.#head)) (record.isFor(partition) ? taken : left).push(record)
    this.#queue = left
    this.#head = 0
    for (const { size } of taken) this.#queuedBytes -= size
    return taken
  }

  requeue(records: readonly Outgoing[]): void {
    this.#queue = [...records, ...this.#queue.slice(this.#head)]
    this.#head = 0
    for (const { size } of records) this.#queuedBytes += size
  }
}

/** The records that are under way to one partition. */
export interface PartitionEnd {
  /** The queue of these records, as long as any is under way. */
  queue: BrokerQueue
  pending: number
  /** Set while the partition accepts no records: sends to it then wait there, and not in the queue. */
  delay: Delay | undefined
}

/** What is known of a topic that records are sent to, and what is under way to its partitions. */
export class TopicRoute {
  /** 0 until the broker has answered. */
  partitions = 0
  /** Sends from before that answer, in order. */
  readonly early: Outgoing[] = []
  readonly #ends: (PartitionEnd | undefined)[] = []

  /** Chooses the partition of a record that names none. Returns an error if the named partition does not exist. */
  choose(record: Outgoing, spread: SpreadPartitioner): MillraceError | undefined {
    const { topic, key } = record
    if (record.partition < 0)
      record.partition = key === null ? spread.next(topic, this.partitions) : partitionForKey(key, this.partitions)
    if (record.partition < this.partitions) return undefined
    return new MillraceError(
      'PARTITION_MISSING',
      `Topic ${topic} has ${this.partitions} partitions; a record was sent to partition ${record.partition}.`,
    )
  }

  /**
   * The queue of the record's partition from now until `left`. It stays the same until then, so that no two requests
   * hold one partition.
   */
  enter(record: Outgoing, queueNow: (record: Outgoing) => BrokerQueue): PartitionEnd {
    let end = this.#ends[record.partition]
    if (end === undefined) {
      end = { queue: queueNow(record), pending: 1, delay: undefined }
      this.#ends[record.partition] = end
      return end
    }
    if (end.pending === 0) end.queue = queueNow(record)
    end.pending++
    return end
  }

  /** `undefined` if nothing was ever sent there. */
  end(partition: number): PartitionEnd | undefined {
    return this.#ends[partition]
  }

  /** Called when the outcome of a record is known. No-op for a record that was never queued. */
  left(partition: number): void {
    const end = this.#ends[partition]
    if (end !== undefined) end.pending--
  }
}

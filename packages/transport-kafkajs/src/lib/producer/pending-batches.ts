import { type Deferred, deferred, type OutgoingRecord, type TopicPartition } from '@millrace/core'
import type { DelayedPartition, SendOutcome } from '@millrace/core/driver'
import { recordSize } from '../wire/encode-record-batch.ts'

export interface BatchLimits {
  readonly maxBatchRecords: number
  readonly maxBatchBytes: number
  readonly maxRequestBytes: number
}

/** The records of one batch, by their index in the send. */
export interface PendingBatch {
  readonly indexes: readonly number[]
  readonly bytes: number
}

/** The batches of one partition that are not stored yet, in order. */
export interface PartitionQueue extends TopicPartition {
  readonly key: string
  readonly batches: PendingBatch[]
  /** Why the last attempt must be repeated. */
  trouble: string | undefined
  /** Successive metadata lookups that did not show the partition. */
  lookupsMissing: number
  /** Successive answers that called the same batch damaged. */
  corruptions: number
}

export function isOpen({ batches }: PartitionQueue): boolean {
  return batches.length > 0
}

/** A partition that has left its send. */
export class DelayedQueue implements DelayedPartition {
  readonly topic: string
  readonly partition: number
  readonly queue: PartitionQueue
  /** Indexes in the send of its records that are not stored yet. */
  readonly indexes: readonly number[]
  readonly settled: Deferred<readonly SendOutcome[]> = deferred<readonly SendOutcome[]>()

  constructor(queue: PartitionQueue) {
    this.topic = queue.topic
    this.partition = queue.partition
    this.queue = queue
    this.indexes = queue.batches.flatMap(({ indexes }) => indexes)
  }

  get reason(): string {
    return this.queue.trouble ?? ''
  }

  get outcomes(): Promise<readonly SendOutcome[]> {
    return this.settled.promise
  }
}

/**
 * The remaining work of a send, and the outcome of each record. Pure bookkeeping: the order of a partition's records is
 * kept whatever is refused, split or sent again.
 */
export class PendingBatches {
  readonly outcomes: SendOutcome[]
  readonly queues: ReadonlyMap<string, PartitionQueue>
  readonly #records: readonly OutgoingRecord[]
  readonly #limits: BatchLimits

  constructor(records: readonly OutgoingRecord[], limits: BatchLimits) {
    this.#records = records
    this.#limits = limits
    this.outcomes = new Array<SendOutcome>(records.length)
    this.queues = fillQueues(records, limits)
  }

  /** The outcomes so far, with gaps for records of partitions that have left the send. */
  outcomesWithout(delayed: readonly DelayedQueue[]): readonly SendOutcome[] {
    if (delayed.length === 0) return this.outcomes
    const gone = new Set(delayed.flatMap(({ indexes }) => indexes))
    const rest = new Array<SendOutcome>(this.outcomes.length)
    this.outcomes.forEach((outcome, index) => {
      if (!gone.has(index)) rest[index] = outcome
    })
    return rest
  }

  recordsOf(batch: PendingBatch): readonly OutgoingRecord[] {
    const { indexes } = batch
    if (indexes.length === this.#records.length) return this.#records
    const records: OutgoingRecord[] = []
    for (const index of indexes) {
      const record = this.#records[index]
      if (record !== undefined) records.push(record)
    }
    return records
  }

  /** The queues whose first batches fit in one request, the first of them whatever its size. */
  nextRequest(queues: readonly PartitionQueue[]): PartitionQueue[] {
    const chosen: PartitionQueue[] = []
    let bytes = 0
    for (const queue of queues) {
      const head = queue.batches[0]
      if (head === undefined) continue
      if (chosen.length > 0 && bytes + head.bytes > this.#limits.maxRequestBytes) break
      chosen.push(queue)
      bytes += head.bytes
    }
    return chosen
  }

  /** The records whose outcome is known. */
  *known(): Iterable<readonly [OutgoingRecord, SendOutcome]> {
    for (const [index, record] of this.#records.entries()) {
      const outcome = this.outcomes[index]
      if (outcome !== undefined) yield [record, outcome]
    }
  }

  /** Removes records with a known outcome from a queue. Returns false if it has none of them. */
  leaveOut(queue: PartitionQueue, known: Pick<WeakMap<OutgoingRecord, SendOutcome>, 'get'>): boolean {
    let found = false
    const isLeft = (index: number): boolean => {
      const record = this.#records[index]
      const outcome = record === undefined ? undefined : known.get(record)
      if (outcome === undefined) return true
      this.outcomes[index] = outcome
      found = true
      return false
    }
    const left = queue.batches.map(({ indexes }) => indexes.filter(isLeft)).filter(({ length }) => length > 0)
    if (found) queue.batches.splice(0, Infinity, ...left.map((indexes) => this.#batch(indexes)))
    return found
  }

  /**
   * Makes one batch of these records, if they are the first of the queue: a batch that may be stored is sent again
   * unchanged, without later records.
   */
  beginWith(queue: PartitionQueue, sent: readonly OutgoingRecord[]): void {
    const indexes = queue.batches.flatMap((batch) => batch.indexes)
    if (!sent.every((record, nth) => this.#records[indexes[nth] ?? -1] === record)) return
    let left = sent.length
    const rest = queue.batches.flatMap((batch) => {
      const behind = batch.indexes.slice(left)
      left = Math.max(0, left - batch.indexes.length)
      return behind.length === 0 ? [] : [this.#batch(behind)]
    })
    queue.batches.splice(0, Infinity, this.#batch(indexes.slice(0, sent.length)), ...rest)
  }

  /** The first batch of the queue is stored at `baseOffset`; -1 if the broker does not report it. */
  acknowledged(queue: PartitionQueue, baseOffset: number): void {
    const head = queue.batches.shift()
    queue.corruptions = 0
    if (head === undefined) return
    head.indexes.forEach((index, nth) => {
      this.outcomes[index] = { ok: true, offset: baseOffset < 0 ? baseOffset : baseOffset + nth }
    })
  }

  /**
   * Refuses the records of the first batch that `bad` names by their index in it, or all of them. The others stay
   * first.
   */
  refuse(queue: PartitionQueue, error: Error, bad?: readonly number[]): void {
    const head = queue.batches.shift()
    queue.corruptions = 0
    if (head === undefined) return
    const refused = bad === undefined ? undefined : new Set(bad)
    const rest: number[] = []
    head.indexes.forEach((index, place) => {
      if (refused !== undefined && !refused.has(place)) rest.push(index)
      else this.outcomes[index] = { ok: false, error }
    })
    if (rest.length > 0) queue.batches.unshift(this.#batch(rest))
  }

  /** Refuses all records of the queue. */
  refuseAll(queue: PartitionQueue, error: Error): void {
    while (queue.batches.length > 0) this.refuse(queue, error)
  }

  /** Splits the first batch in two. Returns false if it has only one record. */
  split(queue: PartitionQueue): boolean {
    const head = queue.batches[0]
    if (head === undefined || head.indexes.length < 2) return false
    const middle = head.indexes.length >> 1
    queue.batches.splice(0, 1, this.#batch(head.indexes.slice(0, middle)), this.#batch(head.indexes.slice(middle)))
    return true
  }

  #batch(indexes: readonly number[]): PendingBatch {
    let bytes = 0
    for (const index of indexes) {
      const record = this.#records[index]
      if (record !== undefined) bytes += recordSize(record)
    }
    return { indexes, bytes }
  }
}

function fillQueues(records: readonly OutgoingRecord[], limits: BatchLimits): Map<string, PartitionQueue> {
  const queues = new Map<string, PartitionQueue>()
  const open = new Map<PartitionQueue, { indexes: number[]; bytes: number }>()
  let queue: PartitionQueue | undefined
  for (let index = 0; index < records.length; index++) {
    const record = records[index]
    if (record === undefined) continue
    if (queue === undefined || queue.topic !== record.topic || queue.partition !== record.partition) {
      const key = `${record.topic}/${record.partition}`
      queue = queues.get(key)
      if (queue === undefined) {
        queue = {
          key,
          topic: record.topic,
          partition: record.partition,
          batches: [],
          trouble: undefined,
          lookupsMissing: 0,
          corruptions: 0,
        }
        queues.set(key, queue)
      }
    }
    const size = recordSize(record)
    const batch = open.get(queue)
    if (
      batch === undefined ||
      batch.indexes.length >= limits.maxBatchRecords ||
      batch.bytes + size > limits.maxBatchBytes
    ) {
      const next = { indexes: [index], bytes: size }
      open.set(queue, next)
      queue.batches.push(next)
    } else {
      batch.indexes.push(index)
      batch.bytes += size
    }
  }
  return queues
}

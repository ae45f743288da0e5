import type { OutgoingRecord } from '@millrace/core'
import type { BatchProducer } from '../wire/encode-record-batch.ts'

/** A producer as brokers know it. */
export type BatchOwner = Omit<BatchProducer, 'firstSequence'>

/** The numbers of one partition. Brokers keep them apart for each partition, so each may have an epoch of its own. */
interface PartitionNumbers {
  owner: BatchOwner
  next: number
  /** The batch that was sent last, until it is known to be stored or not to be. */
  sent: readonly OutgoingRecord[] | undefined
  /** An earlier request with that batch has had no certain answer. */
  unsure: boolean
}

/** Sequence numbers go round. */
const SEQUENCES = 0x8000_0000

/**
 * Numbers the batches of each partition, so that its leader stores none twice and none behind a newer one. It knows a
 * batch by its numbers alone: other records under the numbers of a batch that may be stored would count as that batch, and
 * get lost. Numbers are used for other records only where it is certain that nothing was stored under them; otherwise they
 * begin anew, under the owner that follows.
 */
export class BatchSequences {
  readonly #current: () => BatchOwner
  readonly #following: (owner: BatchOwner) => BatchOwner
  readonly #partitions = new Map<string, PartitionNumbers>()

  /**
   * `current` owns partitions that are new. `following` gives an owner whose batches the leader takes from the number 0 on,
   * while it refuses what is left of the one before; it throws where there is none.
   */
  constructor(current: () => BatchOwner, following: (owner: BatchOwner) => BatchOwner) {
    this.#current = current
    this.#following = following
  }

  /** The batch of a partition that may be stored or not, if there is one: it must be sent again as it was. */
  unsettled(key: string): readonly OutgoingRecord[] | undefined {
    return this.#partitions.get(key)?.sent
  }

  /** The numbers of a batch that is about to be sent, or sent again. */
  numbers(key: string, records: readonly OutgoingRecord[]): BatchProducer {
    let numbers = this.#partitions.get(key)
    if (numbers === undefined) {
      numbers = { owner: this.#current(), next: 0, sent: undefined, unsure: false }
      this.#partitions.set(key, numbers)
    } else if (numbers.sent !== undefined) {
      if (isSame(numbers.sent, records)) numbers.unsure = true
      else this.#beginAnew(key, numbers)
    }
    numbers.sent = records
    const { owner, next } = numbers
    return { id: owner.id, epoch: owner.epoch, transactional: owner.transactional, firstSequence: next }
  }

  /** The batch that was sent last is stored. */
  stored(key: string): void {
    const numbers = this.#partitions.get(key)
    if (numbers?.sent === undefined) return
    numbers.next = (numbers.next + numbers.sent.length) % SEQUENCES
    numbers.sent = undefined
    numbers.unsure = false
  }

  /** The leader has refused the last request. An earlier one with the same batch may have been stored all the same. */
  refused(key: string): void {
    const numbers = this.#partitions.get(key)
    if (numbers !== undefined && !numbers.unsure) numbers.sent = undefined
  }

  /** The leader does not have what came before the batch: it takes the batch under other numbers. */
  lost(key: string): void {
    const numbers = this.#partitions.get(key)
    if (numbers !== undefined) this.#beginAnew(key, numbers)
  }

  #beginAnew(key: string, numbers: PartitionNumbers): void {
    // Where no owner follows now, the partition is a new one when it is tried again.
    this.#partitions.delete(key)
    numbers.owner = this.#following(numbers.owner)
    numbers.next = 0
    numbers.unsure = false
    this.#partitions.set(key, numbers)
  }
}

function isSame(a: readonly OutgoingRecord[], b: readonly OutgoingRecord[]): boolean {
  return a === b || (a.length === b.length && a.every((record, nth) => record === b[nth]))
}

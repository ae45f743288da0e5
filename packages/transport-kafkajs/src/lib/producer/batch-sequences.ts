import type { OutgoingRecord } from '@millrace/core'
import type { BatchProducer } from '../wire/encode-record-batch.ts'

/** A producer as brokers identify it. */
export type BatchOwner = Omit<BatchProducer, 'firstSequence'>

/** The sequence numbers of one partition. Brokers track each partition separately, so each may have its own epoch. */
interface PartitionNumbers {
  owner: BatchOwner
  next: number
  /** The batch that was sent last, until its outcome is known. */
  sent: readonly OutgoingRecord[] | undefined
  /** An earlier request with that batch has no certain answer. */
  unsure: boolean
}

/** Sequence numbers wrap around here. */
const SEQUENCES = 0x8000_0000

/**
 * Numbers the batches of each partition, so that its leader stores none twice and none after a newer one. The leader
 * identifies a batch by its numbers alone: other records under the numbers of a batch that may be stored would count as
 * that batch, and be lost. Numbers are reused for other records only if it is certain that nothing was stored under
 * them; otherwise numbering starts over, under the next owner.
 */
export class BatchSequences {
  readonly #current: () => BatchOwner
  readonly #following: (owner: BatchOwner) => BatchOwner
  readonly #partitions = new Map<string, PartitionNumbers>()

  /**
   * `current` owns new partitions. `following` returns an owner whose batches the leader accepts from number 0 on,
   * while it refuses remaining ones of the previous owner; it throws if there is none.
   */
  constructor(current: () => BatchOwner, following: (owner: BatchOwner) => BatchOwner) {
    this.#current = current
    this.#following = following
  }

  /** The batch of a partition whose outcome is uncertain, if there is one: it must be sent again unchanged. */
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

  /** Called when the last batch is stored. */
  stored(key: string): void {
    const numbers = this.#partitions.get(key)
    if (numbers?.sent === undefined) return
    numbers.next = (numbers.next + numbers.sent.length) % SEQUENCES
    numbers.sent = undefined
    numbers.unsure = false
  }

  /**
   * Called when the leader has refused the last request. An earlier request with the same batch may still have been
   * stored.
   */
  refused(key: string): void {
    const numbers = this.#partitions.get(key)
    if (numbers !== undefined && !numbers.unsure) numbers.sent = undefined
  }

  /** Called when the leader lacks the batches before this one: it accepts the batch under new numbers. */
  lost(key: string): void {
    const numbers = this.#partitions.get(key)
    if (numbers !== undefined) this.#beginAnew(key, numbers)
  }

  #beginAnew(key: string, numbers: PartitionNumbers): void {
    // Without a next owner the partition counts as new at the next attempt.
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

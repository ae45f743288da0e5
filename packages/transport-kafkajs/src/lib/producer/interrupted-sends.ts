import { partitionKey, type OutgoingRecord, type SendOutcome } from '@millrace/core'
import type { BatchSequences } from './batch-sequences.ts'
import type { PendingBatches } from './pending-batches.ts'

/**
 * A send that its guard has ended rejects as a whole, and its caller sends all of its records again. Those that were stored
 * by then are known here, by the object: whoever sends them again is told where they are.
 */
export class InterruptedSends {
  readonly #sequences: BatchSequences
  readonly #stored = new Map<string, WeakMap<OutgoingRecord, SendOutcome>>()

  constructor(sequences: BatchSequences) {
    this.#sequences = sequences
  }

  /** A send ends, or a delayed partition of it, and its caller does not hear of what was stored. */
  add(pending: PendingBatches): void {
    for (const [record, outcome] of pending.stored()) {
      const key = partitionKey(record)
      const known = this.#stored.get(key) ?? new WeakMap<OutgoingRecord, SendOutcome>()
      this.#stored.set(key, known.set(record, outcome))
    }
  }

  /** Leaves out of a send what is stored, and has it begin with the batches that may be. */
  resume(pending: PendingBatches): void {
    for (const queue of pending.queues.values()) {
      const { key } = queue
      const stored = this.#stored.get(key)
      // What is sent again goes first: once something else does, all of it has been.
      if (stored !== undefined && !pending.leaveOut(queue, stored)) this.#stored.delete(key)
      const unsettled = this.#sequences.unsettled(key)
      if (unsettled !== undefined) pending.beginWith(queue, unsettled)
    }
  }
}

import { type OutgoingRecord, partitionKey } from '@millrace/core'
import type { SendOutcome } from '@millrace/core/driver'
import type { BatchSequences } from './batch-sequences.ts'
import type { PendingBatches } from './pending-batches.ts'

/**
 * A send that its guard has ended rejects as a whole, and its caller sends all of its records again. The outcomes that were
 * known by then are kept here, by the object: whoever sends these records again is told, and they are not sent. Refused
 * ones neither, for they would come before a batch that may be stored and that must be sent again as it was.
 */
export class InterruptedSends {
  readonly #sequences: BatchSequences
  readonly #known = new Map<string, WeakMap<OutgoingRecord, SendOutcome>>()

  constructor(sequences: BatchSequences) {
    this.#sequences = sequences
  }

  /** A send ends, or a delayed partition of it, and its caller does not hear of what is known. */
  add(pending: PendingBatches): void {
    for (const [record, outcome] of pending.known()) {
      const key = partitionKey(record)
      const known = this.#known.get(key) ?? new WeakMap<OutgoingRecord, SendOutcome>()
      this.#known.set(key, known.set(record, outcome))
    }
  }

  /** Leaves out of a send what is known, and has it begin with the batches that may be stored. */
  resume(pending: PendingBatches): void {
    for (const queue of pending.queues.values()) {
      const { key } = queue
      const known = this.#known.get(key)
      // What is sent again goes first: once something else does, all of it has been.
      if (known !== undefined && !pending.leaveOut(queue, known)) this.#known.delete(key)
      const unsettled = this.#sequences.unsettled(key)
      if (unsettled !== undefined) pending.beginWith(queue, unsettled)
    }
  }
}

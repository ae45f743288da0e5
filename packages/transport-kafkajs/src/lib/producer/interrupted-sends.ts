import { type OutgoingRecord, partitionKey } from '@millrace/core'
import type { SendOutcome } from '@millrace/core/driver'
import type { BatchSequences } from './batch-sequences.ts'
import type { PendingBatches } from './pending-batches.ts'

/**
 * If a guard ends a send, the whole send rejects, and its caller sends all of its records again. The outcomes known by
 * then are kept here, by record object: when these records are sent again, they get those outcomes and are not sent.
 * Refused records are left out too, because they would precede a batch that may be stored and must be sent again
 * unchanged.
 */
export class InterruptedSends {
  readonly #sequences: BatchSequences
  readonly #known = new Map<string, WeakMap<OutgoingRecord, SendOutcome>>()

  constructor(sequences: BatchSequences) {
    this.#sequences = sequences
  }

  /** Called when a send, or a delayed partition of it, ends and its caller does not learn the known outcomes. */
  add(pending: PendingBatches): void {
    for (const [record, outcome] of pending.known()) {
      const key = partitionKey(record)
      const known = this.#known.get(key) ?? new WeakMap<OutgoingRecord, SendOutcome>()
      this.#known.set(key, known.set(record, outcome))
    }
  }

  /** Removes records with known outcomes from a send, and puts batches that may be stored first. */
  resume(pending: PendingBatches): void {
    for (const queue of pending.queues.values()) {
      const { key } = queue
      const known = this.#known.get(key)
      // Interrupted records go first: once something else is sent, all of them have been.
      if (known !== undefined && !pending.leaveOut(queue, known)) this.#known.delete(key)
      const unsettled = this.#sequences.unsettled(key)
      if (unsettled !== undefined) pending.beginWith(queue, unsettled)
    }
  }
}

import { MillraceError, partitionKey, type CommitOffset, type OutgoingRecord, type SendOutcome } from '@millrace/core'
import { planAppend } from '../log/plan-append.ts'
import type { LogReads } from '../log/log-backend.ts'
import { recordSize } from '../log/record-size.ts'

/** Most bytes of one transaction, because it is kept in memory. */
const MAX_TRANSACTION_BYTES = 256 * 1024 * 1024

/** What a transaction will write. */
export class TransactionBuffer {
  readonly records: OutgoingRecord[] = []
  readonly offsets: { readonly groupId: string; readonly offset: CommitOffset }[] = []
  readonly #counts = new Map<string, number>()
  #bytes = 0

  /** Takes the records that can be stored and says so about each. */
  add(log: LogReads, records: readonly OutgoingRecord[]): readonly SendOutcome[] {
    const { appends, outcomes } = planAppend(log, records)
    for (const { topic, partition, records: accepted, indexes } of appends) {
      const key = partitionKey({ topic: topic.name, partition })
      const count = this.#counts.get(key) ?? 0
      const base = log.bounds(topic, partition).end + count
      accepted.forEach((record, nth) => {
        this.#bytes += recordSize(record)
        this.records.push(record)
        outcomes[indexes[nth] ?? 0] = { ok: true, offset: base + nth }
      })
      this.#counts.set(key, count + accepted.length)
    }
    if (this.#bytes > MAX_TRANSACTION_BYTES) {
      throw new MillraceError(
        'RECORD_REFUSED',
        `A transaction on the local log holds at most ${MAX_TRANSACTION_BYTES} bytes.`,
      )
    }
    return outcomes.filter((outcome) => outcome !== undefined)
  }

  addOffsets(groupId: string, offsets: readonly CommitOffset[]): void {
    for (const offset of offsets) this.offsets.push({ groupId, offset })
  }
}

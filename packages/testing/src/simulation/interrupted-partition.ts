import type { OutgoingRecord } from '@millrace/core'
import type { SendOutcome } from '@millrace/core/driver'

/** Records of one partition whose send was interrupted, as a producer knows them that stores none of them twice. */
export class InterruptedPartition {
  readonly #name: string
  #records: readonly OutgoingRecord[] = []
  readonly #stored = new Map<OutgoingRecord, SendOutcome>()

  /** For messages. */
  constructor(name: string) {
    this.#name = name
  }

  /** A send of these was interrupted. */
  interrupted(records: readonly OutgoingRecord[]): void {
    this.#records = [...records, ...this.#records.filter((record) => !records.includes(record))]
  }

  /** It is stored; its sender may never hear of it. */
  stored(record: OutgoingRecord, outcome: SendOutcome): void {
    if (outcome.ok) this.#stored.set(record, outcome)
  }

  /**
   * Where these are, of those that are stored. Throws unless what was interrupted goes first and in its order, as
   * `Producer.send` asks of its callers; what belongs to lost tasks may be missing.
   */
  known(records: readonly OutgoingRecord[]): ReadonlyMap<OutgoingRecord, SendOutcome> {
    let last = -1
    for (const record of records) {
      const place = this.#records.indexOf(record)
      if (place >= 0 && place < last)
        throw new Error(`Records for ${this.#name} were not sent again in the order in which they were interrupted.`)
      last = place < 0 ? Infinity : place
    }
    return this.#stored
  }

  /** The sender has heard of these. What was before them will not be sent again. */
  heard(records: readonly OutgoingRecord[]): void {
    const isNew = records.some((record) => !this.#records.includes(record))
    const last = records.at(-1)
    this.#records = isNew || last === undefined ? [] : this.#records.slice(this.#records.indexOf(last) + 1)
    if (this.#records.length === 0) this.#stored.clear()
  }
}

import type { TopicPartition } from '@millrace/core'
import type { Outgoing } from './outgoing.ts'

/** With one request under way a small one would make sends wait for turns of the event loop (decision 011). */
const MAX_SEND_RECORDS = 5000
const MAX_SEND_BYTES = 2 * 1024 * 1024

/** What waits for the next request to one broker. */
export class Lane {
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

  /** The next request's records. */
  take(): readonly Outgoing[] {
    let end = this.#head
    let bytes = 0
    for (; end < this.#queue.length && end - this.#head < MAX_SEND_RECORDS; end++) {
      const size = this.#queue[end]?.size ?? 0
      if (end > this.#head && bytes + size > MAX_SEND_BYTES) break
      bytes += size
    }
    this.#queuedBytes -= bytes
    const all = this.#head === 0 && end === this.#queue.length
    const taken = all ? this.#queue : this.#queue.slice(this.#head, end)
    if (all || end === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    } else this.#head = end
    return taken
  }

  /** What waits for one partition, which is no longer in the lane then. */
  takeOut(partition: TopicPartition): readonly Outgoing[] {
    const taken: Outgoing[] = []
    const left: Outgoing[] = []
    for (const record of this.#queue.slice(this.#head)) (record.isFor(partition) ? taken : left).push(record)
    this.#queue = left
    this.#head = 0
    for (const { size } of taken) this.#queuedBytes -= size
    return taken
  }

  putBack(records: readonly Outgoing[]): void {
    this.#queue = [...records, ...this.#queue.slice(this.#head)]
    this.#head = 0
    for (const { size } of records) this.#queuedBytes += size
  }
}

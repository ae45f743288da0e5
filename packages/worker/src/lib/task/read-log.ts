import type { Readable } from '@millrace/core'

/** What an event has read, each with the version as of which it did so first. */
export type ReadSet = Map<Readable, number>

/** An event, as what it reads is kept for it. */
export interface ReadingEvent {
  readonly open: boolean
  /** Takes over what the log has of it. The set is its own. */
  keepReads(reads: ReadSet): void
}

/** Reads kept without a set of the event's own. */
const LONGEST = 64

/**
 * What the event that reads at present has read, of a task. Most events are over before another of their task reads: then
 * nothing is allocated for it. When another one reads while the first is still in hand, because that waits for something,
 * each gets a set of its own.
 */
export class ReadLog {
  #reader: ReadingEvent | undefined = undefined
  #count = 0
  readonly #what: (Readable | undefined)[] = []
  readonly #versions: number[] = []

  add(event: ReadingEvent, what: Readable, version: number): void {
    if (this.#reader !== event) {
      this.#handOver()
      this.#reader = event
    } else if (this.#count === LONGEST) this.#handOver()
    const at = this.#count
    if (at > 0 && this.#what[at - 1] === what) return
    this.#what[at] = what
    this.#versions[at] = version
    this.#count = at + 1
  }

  /** Whether something that is here of this event has been changed since. */
  isOutdated(event: ReadingEvent): boolean {
    if (this.#reader !== event) return false
    for (let at = 0; at < this.#count; at++)
      if (this.#what[at]?.changedSince(this.#versions[at] ?? 0) === true) return true
    return false
  }

  /** What is here of this event. */
  of(event: ReadingEvent): readonly Readable[] {
    return this.#reader === event ? this.#what.flatMap((what) => what ?? []) : []
  }

  /** The event is over, or has nothing to show for what it has read. */
  forget(event: ReadingEvent): void {
    if (this.#reader !== event) return
    this.#reader = undefined
    this.#clear()
  }

  #handOver(): void {
    const reader = this.#reader
    if (reader !== undefined && reader.open && this.#count > 0) {
      const reads: ReadSet = new Map()
      for (let at = 0; at < this.#count; at++) {
        const what = this.#what[at]
        if (what !== undefined && !reads.has(what)) reads.set(what, this.#versions[at] ?? 0)
      }
      reader.keepReads(reads)
    }
    this.#clear()
  }

  #clear(): void {
    // One or two mostly: a loop is done before a call of `fill` begins.
    for (let at = 0; at < this.#count; at++) this.#what[at] = undefined
    this.#count = 0
  }
}

/** Whether one of these was changed after it was read. */
export function isOutdated(reads: ReadSet): boolean {
  for (const [what, version] of reads) if (what.changedSince(version)) return true
  return false
}

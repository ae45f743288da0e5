import type { Readable } from '../contracts/event.ts'

/** What an event has read, each with the version as of which it did so first. */
type ReadSet = Map<Readable, number>

/** An event, as far as its reads are concerned. */
export interface ReadingEvent {
  readonly open: boolean
}

/** The most reads that are kept without a set for the event. */
const LONGEST = 64

/**
 * What the events in flight of a task have read. Most of them are over before another one reads: then nothing is allocated
 * for it. When another one reads while the first is still in flight, because that waits for something, the first gets a set
 * of its own.
 */
export class ReadLog {
  /** The event that reads at present, and what it has read since it began to. */
  #reader: ReadingEvent | undefined = undefined
  #count = 0
  readonly #what: (Readable | undefined)[] = []
  readonly #versions: number[] = []
  /** What others have read, and this one before others did. */
  readonly #sets = new Map<ReadingEvent, ReadSet>()

  add(event: ReadingEvent, what: Readable, version: number): void {
    if (this.#reader !== event) {
      this.#keep()
      this.#reader = event
    } else if (this.#count === LONGEST) this.#keep()
    const at = this.#count
    if (at > 0 && this.#what[at - 1] === what) return
    this.#what[at] = what
    this.#versions[at] = version
    this.#count = at + 1
  }

  /** Whether something that this event has read was changed since. */
  isOutdated(event: ReadingEvent): boolean {
    if (this.#reader === event)
      for (let at = 0; at < this.#count; at++)
        if (this.#what[at]?.changedSince(this.#versions[at] ?? 0) === true) return true
    if (this.#sets.size > 0)
      for (const [what, version] of this.#sets.get(event) ?? []) if (what.changedSince(version)) return true
    return false
  }

  /** What this event has read. */
  of(event: ReadingEvent): readonly Readable[] {
    const now = this.#reader === event ? this.#what.flatMap((what) => what ?? []) : []
    return [...new Set([...(this.#sets.get(event)?.keys() ?? []), ...now])]
  }

  /** The event is over, or none of its effects is left. */
  forget(event: ReadingEvent): void {
    if (this.#sets.size > 0) this.#sets.delete(event)
    if (this.#reader !== event) return
    this.#reader = undefined
    this.#clear()
  }

  #keep(): void {
    const reader = this.#reader
    if (reader !== undefined && reader.open && this.#count > 0) {
      const reads: ReadSet = this.#sets.get(reader) ?? new Map()
      this.#sets.set(reader, reads)
      for (let at = 0; at < this.#count; at++) {
        const what = this.#what[at]
        if (what !== undefined && !reads.has(what)) reads.set(what, this.#versions[at] ?? 0)
      }
    }
    this.#clear()
  }

  #clear(): void {
    // Mostly one or two: a loop is faster than a call of `fill`.
    for (let at = 0; at < this.#count; at++) this.#what[at] = undefined
    this.#count = 0
  }
}

import type { Readable } from '../contracts/event.ts'

/** What an event has read, each with its version at the first read. */
type ReadSet = Map<Readable, number>

/** An event, as far as its reads are concerned. */
export interface ReadingEvent {
  readonly open: boolean
}

/** The most reads that are kept before the event gets a set. */
const LONGEST = 64

/**
 * What the events in flight of a task have read. Most events end before another one reads, and nothing is allocated for
 * those. An event that is still in flight when another one reads (because it awaits something) gets a set of its own.
 */
export class ReadLog {
  /** The event that reads at present, and its reads since it began to. */
  #reader: ReadingEvent | undefined = undefined
  #count = 0
  readonly #what: (Readable | undefined)[] = []
  readonly #versions: number[] = []
  /** The reads of other events, and those of this event from before another one read. */
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

  /** Whether something was changed since this event has read it. */
  isOutdated(event: ReadingEvent): boolean {
    if (this.#reader === event)
      for (let at = 0; at < this.#count; at++)
        if (this.#what[at]?.changedSince(this.#versions[at] ?? 0) === true) return true
    if (this.#sets.size > 0)
      for (const [what, version] of this.#sets.get(event) ?? []) if (what.changedSince(version)) return true
    return false
  }

  /** Everything that this event has read. */
  of(event: ReadingEvent): readonly Readable[] {
    const now = this.#reader === event ? this.#what.flatMap((what) => what ?? []) : []
    return [...new Set([...(this.#sets.get(event)?.keys() ?? []), ...now])]
  }

  /** Called when the event is over, or has lost all of its effects. */
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
    // A loop, because there are mostly one or two entries, and a call of `fill` takes longer.
    for (let at = 0; at < this.#count; at++) this.#what[at] = undefined
    this.#count = 0
  }
}

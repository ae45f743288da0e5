/** Offsets from `from` up to, but not including, `to`. */
export interface OffsetRange {
  readonly from: number
  readonly to: number
}

/**
 * The progress of one subscription in a partition: everything below `position` is finished, and so are the ranges
 * beyond it.
 */
export interface Progress {
  readonly position: number
  /** Ascending and disjoint, none below `position`. */
  readonly finished: readonly OffsetRange[]
}

const FIRST_CAPACITY = 64

/**
 * Tracks which events of one partition a subscription has handed out and finished. Events get consecutive numbers as
 * they are handed out, so finding one is an index into a ring, and finishing in order costs a few instructions. `E` is
 * the type of the events that can be kept until then.
 */
export class AckTracker<E = never> {
  #offsets = new Float64Array(FIRST_CAPACITY)
  #done = new Uint8Array(FIRST_CAPACITY)
  #events: (E | undefined)[] = new Array<E | undefined>(FIRST_CAPACITY).fill(undefined)
  #mask = FIRST_CAPACITY - 1
  #head = 0
  #next = 0
  #readTo: number

  constructor(position: number) {
    this.#readTo = position
  }

  /** Registers an event that is handed out, and returns its number for `finish`. Offsets ascend. */
  hand(offset: number): number {
    const number = this.#next
    if (number - this.#head > this.#mask) this.#grow()
    const slot = number & this.#mask
    this.#offsets[slot] = offset
    this.#done[slot] = 0
    this.#next = number + 1
    this.#readTo = offset + 1
    return number
  }

  /** Keeps the event of this number, which is not finished, until `forget`. */
  keep(number: number, event: E): void {
    this.#events[number & this.#mask] = event
  }

  forget(number: number): void {
    this.#events[number & this.#mask] = undefined
  }

  finish(number: number): void {
    if (number !== this.#head) {
      this.#done[number & this.#mask] = 1
      return
    }
    let head = number + 1
    while (head < this.#next && this.#done[head & this.#mask] === 1) head++
    this.#head = head
  }

  /** Moves reading on to `offset`, with nothing to hand out before it. */
  advance(offset: number): void {
    if (offset > this.#readTo) this.#readTo = offset
  }

  /** Everything below this offset is finished. */
  get position(): number {
    return this.#head === this.#next ? this.#readTo : this.#offsetOf(this.#head)
  }

  /** The next offset to hand out. */
  get readTo(): number {
    return this.#readTo
  }

  /** How many events were handed out so far. */
  get handed(): number {
    return this.#next
  }

  /** How many events the position has passed so far. */
  get passed(): number {
    return this.#head
  }

  progress(): Progress {
    return { position: this.position, finished: this.#finishedBeyond() }
  }

  /** Offsets that were handed out and are not finished, lowest first. */
  unfinished(limit: number): readonly number[] {
    const found: number[] = []
    for (let number = this.#head; number < this.#next && found.length < limit; number++)
      if (this.#isOpen(number)) found.push(this.#offsetOf(number))
    return found
  }

  /** The events that are kept, lowest offset first. */
  kept(): readonly E[] {
    const found: E[] = []
    for (let number = this.#head; number < this.#next; number++) {
      const event = this.#events[number & this.#mask]
      if (event !== undefined) found.push(event)
    }
    return found
  }

  #finishedBeyond(): readonly OffsetRange[] {
    const ranges: OffsetRange[] = []
    let from = -1
    for (let number = this.#head; number < this.#next; number++) {
      if (this.#isOpen(number)) {
        if (from >= 0) ranges.push({ from, to: this.#offsetOf(number) })
        from = -1
      } else if (from < 0) from = this.#offsetOf(number)
    }
    if (from >= 0) ranges.push({ from, to: this.#readTo })
    return ranges
  }

  /** The first event is open by definition; its flag is never set. */
  #isOpen(number: number): boolean {
    return this.#done[number & this.#mask] !== 1
  }

  #offsetOf(number: number): number {
    return this.#offsets[number & this.#mask] ?? this.#readTo
  }

  #grow(): void {
    const offsets = new Float64Array(this.#offsets.length * 2)
    const done = new Uint8Array(offsets.length)
    const events = new Array<E | undefined>(offsets.length).fill(undefined)
    const mask = offsets.length - 1
    for (let number = this.#head; number < this.#next; number++) {
      offsets[number & mask] = this.#offsetOf(number)
      done[number & mask] = this.#isOpen(number) ? 0 : 1
      events[number & mask] = this.#events[number & this.#mask]
    }
    this.#offsets = offsets
    this.#done = done
    this.#events = events
    this.#mask = mask
  }
}

/** What an earlier owner has finished for a subscription. Reading skips it. */
export class ResumePoint {
  readonly position: number
  readonly #finished: readonly OffsetRange[]
  #next = 0

  constructor({ position, finished }: Progress) {
    this.position = position
    this.#finished = finished
  }

  /** Called with ascending offsets. */
  isFinished(offset: number): boolean {
    if (offset < this.position) return true
    let range = this.#finished[this.#next]
    while (range !== undefined && range.to <= offset) range = this.#finished[++this.#next]
    return range !== undefined && range.from <= offset
  }

  /** Whether everything from `from` up to and excluding `to` is finished. */
  covers(from: number, to: number): boolean {
    let done = Math.max(from, this.position)
    for (const range of this.#finished) if (range.from <= done && range.to > done) done = range.to
    return done >= to
  }

  /** The finished ranges at or after `offset`. */
  beyond(offset: number): readonly OffsetRange[] {
    return this.#finished.flatMap(({ from, to }) => (to > offset ? [{ from: Math.max(from, offset), to }] : []))
  }

  /** Whether nothing at or after `offset` is finished. */
  isPast(offset: number): boolean {
    return offset >= (this.#finished.at(-1)?.to ?? this.position)
  }
}

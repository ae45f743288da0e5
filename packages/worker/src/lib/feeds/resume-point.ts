import type { OffsetRange, Progress } from '../commit/offset-range.ts'

/** What an earlier owner has finished for a subscription, passed over as reading comes to it. */
export class ResumePoint {
  readonly position: number
  readonly #finished: readonly OffsetRange[]
  #next = 0

  constructor({ position, finished }: Progress) {
    this.position = position
    this.#finished = finished
  }

  /** Asked for ascending offsets. */
  isFinished(offset: number): boolean {
    if (offset < this.position) return true
    let range = this.#finished[this.#next]
    while (range !== undefined && range.to <= offset) range = this.#finished[++this.#next]
    return range !== undefined && range.from <= offset
  }

  /** Whether all from `from` to before `to` is finished. */
  covers(from: number, to: number): boolean {
    let done = Math.max(from, this.position)
    for (const range of this.#finished) if (range.from <= done && range.to > done) done = range.to
    return done >= to
  }

  /** What is finished at or after `offset`. */
  beyond(offset: number): readonly OffsetRange[] {
    return this.#finished.flatMap(({ from, to }) => (to > offset ? [{ from: Math.max(from, offset), to }] : []))
  }

  /** Nothing at or after `offset` is finished. */
  isPast(offset: number): boolean {
    return offset >= (this.#finished.at(-1)?.to ?? this.position)
  }
}

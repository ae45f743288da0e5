import type { StorePartition } from '@millrace/core/driver'
import { startOf, windowRow } from './window-keys.ts'

/** The starts of the windows that have rows, ascending: some hundreds, however many rows there are. */
export class StartIndex {
  #starts: number[] = []
  #last = Number.NaN

  /** Looks up one row of each window. */
  constructor(store: Pick<StorePartition, 'range'>, end: Buffer) {
    let from = windowRow(0)
    for (;;) {
      const [row] = store.range({ from, to: end, limit: 1 })
      if (row === undefined) return
      const start = startOf(row[0])
      this.#starts.push(start)
      from = windowRow(start + 1)
    }
  }

  get first(): number | undefined {
    return this.#starts[0]
  }

  get all(): readonly number[] {
    return this.#starts
  }

  /** A window has a row. Most calls are for the same window as the one before, or for the newest. */
  add(start: number): void {
    if (start === this.#last) return
    this.#last = start
    const at = this.#indexOf(start)
    if (this.#starts[at] !== start) this.#starts.splice(at, 0, start)
  }

  /** The first that is not below `start`. */
  from(start: number): number | undefined {
    return this.#starts[this.#indexOf(start)]
  }

  /** Those from `from`, included, to `to`, excluded. */
  between(from: number, to: number): readonly number[] {
    return this.#starts.slice(this.#indexOf(from), this.#indexOf(to))
  }

  /** Those before `start` have no rows any more. */
  dropBefore(start: number): void {
    this.#starts.splice(0, this.#indexOf(start))
    this.#last = Number.NaN
  }

  /** Of the first that is not below `start`. */
  #indexOf(start: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#starts[middle] ?? Infinity) < start) low = middle + 1
      else high = middle
    }
    return low
  }
}

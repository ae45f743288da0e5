import type { StorePartition } from '@millrace/core/driver'
import { startOf, windowRow } from './window-keys.ts'

/** The starts of the windows that have rows, ascending. There are some hundreds of windows, however many rows they have. */
export class StartIndex {
  #starts: number[] = []
  #last = Number.NaN

  /** Looks up one row of each window. `prefix`: what the rows have before their time. */
  constructor(store: Pick<StorePartition, 'range'>, end: Buffer, prefix: Buffer = NO_PREFIX) {
    let from = Buffer.concat([prefix, windowRow(0)])
    for (;;) {
      const [row] = store.range({ from, to: end, limit: 1 })
      if (row === undefined) return
      const start = startOf(row[0].subarray(prefix.length))
      this.#starts.push(start)
      from = Buffer.concat([prefix, windowRow(start + 1)])
    }
  }

  get first(): number | undefined {
    return this.#starts[0]
  }

  /** Adds a window that has a row. Most calls name the same window as the previous call, or the newest one. */
  add(start: number): void {
    if (start === this.#last) return
    this.#last = start
    const at = this.#indexOf(start)
    if (this.#starts[at] !== start) this.#starts.splice(at, 0, start)
  }

  /** The first start at or after `start`. */
  from(start: number): number | undefined {
    return this.#starts[this.#indexOf(start)]
  }

  /** The starts from `from` (included) to `to` (excluded). */
  between(from: number, to: number): readonly number[] {
    return this.#starts.slice(this.#indexOf(from), this.#indexOf(to))
  }

  /** Removes the windows before `start`, which have no rows any more. */
  dropBefore(start: number): void {
    this.#starts.splice(0, this.#indexOf(start))
    this.#last = Number.NaN
  }

  /** The index of the first start at or after `start`. */
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

const NO_PREFIX = Buffer.alloc(0)

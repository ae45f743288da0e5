import type { Problems } from './problems.ts'

/**
 * Whether what was done for the records of each key is in their order. At least once, what was done already may come
 * again, from any point; but nothing comes for the first time before all that precedes it.
 */
export class KeyOrder {
  readonly #name: string
  readonly #exact: boolean
  readonly #problems: Problems
  readonly #last = new Map<string, number>()

  constructor(name: string, exact: boolean, problems: Problems) {
    this.#name = name
    this.#exact = exact
    this.#problems = problems
  }

  /** `seq`: the record's number among those of its key. */
  add(key: string, seq: number, where: string): void {
    const last = this.#last.get(key) ?? -1
    if (seq > last + 1 || (this.#exact && seq <= last))
      this.#problems.add(`out of order in ${this.#name}`, `${key}: ${seq} after ${last} at ${where}`)
    if (seq > last) this.#last.set(key, seq)
  }
}

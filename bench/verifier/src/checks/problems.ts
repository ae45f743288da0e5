/** One thing that is not as it must be. */
export interface Problem {
  readonly check: string
  readonly count: number
  /** The first of them. */
  readonly examples: readonly string[]
}

const EXAMPLES = 10

/** Gathers problems by what they are. */
export class Problems {
  readonly #found = new Map<string, { count: number; readonly examples: string[] }>()

  add(check: string, example: string): void {
    let found = this.#found.get(check)
    if (found === undefined) {
      found = { count: 0, examples: [] }
      this.#found.set(check, found)
    }
    found.count++
    if (found.examples.length < EXAMPLES) found.examples.push(example)
  }

  get all(): readonly Problem[] {
    return [...this.#found].map(([check, { count, examples }]) => ({ check, count, examples }))
  }
}

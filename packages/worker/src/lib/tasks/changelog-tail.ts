import type { Row, StorePartition } from '@millrace/core'

/** Offsets of a changelog, the end excluded. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

/**
 * The end of a task's changelog partition as this worker has written it. Its rows should follow on each other there, since
 * nobody else writes them. Where they do not, a request has reached the broker that had been given up: one of an earlier
 * owner that slept, or one of this worker whose answer was lost. Outside of transactions Kafka cannot refuse such a request.
 */
export class ChangelogTail {
  #next: number
  /** By their bytes: keys whose last row in the changelog is not what the store has. */
  readonly #overwritten = new Map<string, Buffer>()
  #taken: readonly string[] = []

  /** `next` is where the store ends once it is recovered. */
  constructor(next: number) {
    this.#next = next
  }

  /** The rows of a cut, with those that have to be written again. */
  rows(changed: readonly Row[], store: Pick<StorePartition, 'get'>): readonly Row[] {
    if (this.#overwritten.size === 0) return changed
    const fresh = new Set(changed.map(({ key }) => nameOf(key)))
    const again = [...this.#overwritten].filter(([name]) => !fresh.has(name))
    this.#taken = [...this.#overwritten.keys()]
    return [...changed, ...again.map(([, key]) => ({ key, value: store.get(key) ?? null }))]
  }

  /** The rows of a cut are committed. Gives the stretch in which there is more than them. */
  wrote(count: number, last: number): Stretch | undefined {
    for (const name of this.#taken) this.#overwritten.delete(name)
    this.#taken = []
    const stretch = { from: this.#next, to: last + 1 }
    this.#next = stretch.to
    return stretch.to - stretch.from > count ? stretch : undefined
  }

  /** A stretch could not be looked through: the next cut comes back to it. */
  lookAgain({ from }: Stretch): void {
    this.#next = Math.min(this.#next, from)
  }

  /** What a stretch has left behind. Gives the number of keys that the next cut writes again. */
  compare(rows: Iterable<Row>, store: Pick<StorePartition, 'get'>): number {
    const last = new Map<string, Row>()
    for (const row of rows) last.set(nameOf(row.key), row)
    let found = 0
    for (const [name, { key, value }] of last) {
      const own = store.get(key)
      if (value === null ? own === undefined : own?.equals(value) === true) continue
      this.#overwritten.set(name, key)
      found++
    }
    return found
  }
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}

/** A rate is taken over so much time: short enough to be of now, long enough not to flicker. */
const SPAN_MS = 5_000

interface Sample {
  readonly atMs: number
  readonly counts: ReadonlyMap<string, number>
}

/** Rates of counters, from what they were some seconds ago. */
export class Rates {
  #samples: readonly Sample[] = []

  /** Called about once a second with all there is to count. */
  add(atMs: number, counts: ReadonlyMap<string, number>): void {
    this.#samples = [...this.#samples.filter((sample) => atMs - sample.atMs <= SPAN_MS), { atMs, counts }]
  }

  /** `undefined` before there are two samples. A counter that began meanwhile, or began again, counts from 0. */
  perSecond(counter: string): number | undefined {
    return this.#between(this.#samples[0], counter)
  }

  /** Over the last interval only. */
  lastPerSecond(counter: string): number | undefined {
    return this.#between(this.#samples.at(-2), counter)
  }

  #between(first: Sample | undefined, counter: string): number | undefined {
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined
    const before = first.counts.get(counter) ?? 0
    const now = last.counts.get(counter) ?? 0
    const grown = now >= before ? now - before : now
    return (grown * 1000) / (last.atMs - first.atMs)
  }
}

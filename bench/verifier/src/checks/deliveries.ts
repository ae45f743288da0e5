import type { Problems } from './problems.ts'

export interface DeliveryFigures {
  readonly expected: number
  readonly seen: number
  readonly lost: number
  readonly doubled: number
}

export interface DeliveryRules {
  /** How often record `n` must be there. */
  readonly expected: (n: number) => number
  readonly records: number
  /** Doubles are problems. */
  readonly exact: boolean
}

/** How often something was done for each record. */
export class Deliveries {
  readonly name: string
  readonly #times: Uint16Array
  readonly #places = new Map<number, string>()
  #strangers = 0

  constructor(name: string, records: number) {
    this.name = name
    this.#times = new Uint16Array(records)
  }

  times(n: number): number {
    return this.#times[n] ?? 0
  }

  /** `where`: for messages about doubles. */
  add(n: number, where: string): void {
    if (!(n in this.#times)) {
      this.#strangers++
      return
    }
    this.#times[n] = this.times(n) + 1
    if (this.times(n) > 1) this.#places.set(n, `${this.#places.get(n) ?? ''} ${where}`.slice(-300))
  }

  check({ expected, records, exact }: DeliveryRules, problems: Problems): DeliveryFigures {
    let [wanted, seen, lost, doubled] = [0, 0, 0, 0]
    for (let n = 0; n < records; n++) {
      const [must, is] = [expected(n), this.times(n)]
      wanted += must
      seen += is
      if (must > is) {
        lost += must - is
        problems.add(`lost in ${this.name}`, `record ${n}: ${is} of ${must}`)
      }
      if (is > must) {
        doubled += is - must
        if (exact || must === 0)
          problems.add(
            `doubled in ${this.name}`,
            `record ${n}: ${is} instead of ${must}, again at${this.#places.get(n) ?? ''}`,
          )
      }
    }
    if (this.#strangers > 0)
      problems.add(`strangers in ${this.name}`, `${this.#strangers} with numbers that no record has`)
    return { expected: wanted, seen, lost, doubled }
  }
}

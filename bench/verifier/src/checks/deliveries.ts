import type { Problems } from './problems.ts'

/** What the log says of things that must be there a number of times each. */
export interface Verdict<Id> {
  readonly expected: number
  readonly seen: number
  /** Those that are there less often than they must. */
  readonly lost: readonly Amount<Id>[]
  /** Those that are there more often: handled again, or counted again. */
  readonly again: readonly Amount<Id>[]
  /** Those that nothing is known of. */
  readonly strangers: readonly Id[]
}

/** How often something is there, and how often it must be. */
export interface Amount<Id> {
  readonly id: Id
  readonly is: number
  readonly must: number
}

export interface DeliveryFigures {
  readonly expected: number
  readonly seen: number
  readonly lost: number
  readonly doubled: number
}

/** How often something was done for each record, or for each key. */
export class Deliveries<Id extends string | number> {
  readonly name: string
  readonly #times = new Map<Id, number>()
  readonly #places = new Map<Id, string>()

  constructor(name: string) {
    this.name = name
  }

  times(id: Id): number {
    return this.#times.get(id) ?? 0
  }

  /** `where`: for messages about what is there again. */
  add(id: Id, where: string): void {
    const times = this.times(id) + 1
    this.#times.set(id, times)
    if (times > 1) this.#places.set(id, `${this.#places.get(id) ?? ''} ${where}`.slice(-300))
  }

  /** Instead of adding one by one: it was done so often. */
  set(id: Id, times: number): void {
    this.#times.set(id, times)
  }

  /** The one place that says what is lost and what is there again. */
  verdict(expected: Iterable<readonly [id: Id, times: number]>): Verdict<Id> {
    let [wanted, seen] = [0, 0]
    const lost: Amount<Id>[] = []
    const again: Amount<Id>[] = []
    const strangers = new Set(this.#times.keys())
    for (const [id, must] of expected) {
      const is = this.times(id)
      strangers.delete(id)
      wanted += must
      seen += is
      if (is < must) lost.push({ id, is, must })
      if (is > must) again.push({ id, is, must })
    }
    return { expected: wanted, seen, lost, again, strangers: [...strangers] }
  }

  /** The verdict as figures; what must not be goes to the problems. `exact`: nothing may be there again. */
  check(
    expected: Iterable<readonly [id: Id, times: number]>,
    { exact, problems }: { readonly exact: boolean; readonly problems: Problems },
  ): DeliveryFigures {
    const { lost, again, strangers, ...figures } = this.verdict(expected)
    for (const { id, is, must } of lost) problems.add(`lost in ${this.name}`, `${id}: ${is} of ${must}`)
    for (const { id, is, must } of again)
      if (exact || must === 0)
        problems.add(
          `doubled in ${this.name}`,
          `${id}: ${is} instead of ${must}, again at${this.#places.get(id) ?? ''}`,
        )
    if (strangers.length > 0)
      problems.add(`strangers in ${this.name}`, `${strangers.length} that nothing was sent for, ${strangers[0]} first`)
    return { ...figures, lost: missing(lost), doubled: missing(again) }
  }
}

/** By how much amounts are off. */
export function missing(amounts: readonly Amount<unknown>[]): number {
  return amounts.reduce((sum, { is, must }) => sum + Math.abs(must - is), 0)
}

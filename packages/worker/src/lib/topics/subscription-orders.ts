import { MillraceError } from '@millrace/core'

/** Where a subscription stands among those whose events go out in the order of their times. */
export interface OrderedPlace {
  /** Equal for all subscriptions that are ordered together. */
  readonly group: string
  /** At equal times, the lower rank goes first. */
  readonly rank: number
}

/** The subscriptions that are ordered together, directly or by way of others, from the pairs that were declared. */
export class SubscriptionOrders {
  readonly #after = new Map<string, Set<string>>()
  #places: ReadonlyMap<string, OrderedPlace> = new Map()

  add(first: string, then: string): void {
    const after = this.#after.get(first) ?? new Set<string>()
    this.#after.set(first, after)
    // Of one subscription, only its topics are ordered.
    if (first !== then) after.add(then)
    if (!this.#after.has(then)) this.#after.set(then, new Set())
  }

  has(first: string, then: string): boolean {
    return first === then ? this.#after.has(first) : this.#after.get(first)?.has(then) === true
  }

  /** The pairs that were declared. */
  get pairs(): readonly (readonly [first: string, then: string])[] {
    return [...this.#after].flatMap(([first, after]) => [...after].map((then) => [first, then] as const))
  }

  /** Of a subscription; `undefined` when its events need no order. Known once `arrange` was called. */
  placeOf(subscription: string): OrderedPlace | undefined {
    return this.#places.get(subscription)
  }

  /** Everything is declared. Throws `JOIN_CYCLE` when one of two subscriptions would go first and last at once. */
  arrange(): void {
    const ranks = this.#ranks()
    const groups = this.#groups()
    this.#places = new Map([...ranks].map(([id, rank]) => [id, { group: groups.get(id) ?? id, rank }]))
  }

  /** The length of the longest way to each subscription. */
  #ranks(): ReadonlyMap<string, number> {
    const ranks = new Map<string, number>()
    const open = new Set(this.#after.keys())
    for (let rank = 0; open.size > 0; rank++) {
      const behind = new Set([...open].flatMap((id) => [...(this.#after.get(id) ?? [])]))
      const free = [...open].filter((id) => !behind.has(id))
      if (free.length === 0)
        throw new MillraceError(
          'JOIN_CYCLE',
          `Each of these subscriptions waits for another one of them: ${[...open].join(', ')}.`,
        )
      for (const id of free) {
        ranks.set(id, rank)
        open.delete(id)
      }
    }
    return ranks
  }

  #groups(): ReadonlyMap<string, string> {
    const groups = new Map([...this.#after.keys()].map((id) => [id, id]))
    for (const [first, then] of this.pairs) {
      const [kept, merged] = [groups.get(first), groups.get(then)]
      if (kept === undefined || merged === undefined || kept === merged) continue
      for (const [id, group] of groups) if (group === merged) groups.set(id, kept)
    }
    return groups
  }
}

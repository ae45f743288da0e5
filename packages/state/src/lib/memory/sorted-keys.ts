const LEAF = 512

/**
 * Strings in code unit order: a list of sorted leaves of at most `LEAF` each, split in half when full. An insert moves a few
 * hundred references at most, and finding a place is two binary searches.
 */
export class SortedKeys {
  readonly #leaves: string[][] = []

  /** Takes keys that are unique, in any order. */
  constructor(keys: Iterable<string>) {
    const sorted = [...keys].sort()
    for (let i = 0; i < sorted.length; i += LEAF / 2) this.#leaves.push(sorted.slice(i, i + LEAF / 2))
  }

  get first(): string | undefined {
    return this.#leaves[0]?.[0]
  }

  has(key: string): boolean {
    const leaf = this.#leaves[this.#leafOf(key)]
    return leaf !== undefined && leaf[firstNotBefore(leaf, key)] === key
  }

  /** The key must not be there yet. */
  add(key: string): void {
    const at = this.#leafOf(key)
    const leaf = this.#leaves[at]
    if (leaf === undefined) {
      this.#leaves.push([key])
      return
    }
    leaf.splice(firstNotBefore(leaf, key), 0, key)
    if (leaf.length > LEAF) this.#leaves.splice(at + 1, 0, leaf.splice(LEAF / 2))
  }

  delete(key: string): void {
    const at = this.#leafOf(key)
    const leaf = this.#leaves[at]
    if (leaf === undefined) return
    const index = firstNotBefore(leaf, key)
    if (leaf[index] !== key) return
    leaf.splice(index, 1)
    if (leaf.length === 0) this.#leaves.splice(at, 1)
  }

  /** Keys from `from` (included) to `to` (excluded), at most `limit`. */
  range(from: string | undefined, to: string | undefined, limit: number): string[] {
    const found: string[] = []
    let at = from === undefined ? 0 : this.#leafOf(from)
    let index = from === undefined ? 0 : firstNotBefore(this.#leaves[at] ?? [], from)
    for (; at < this.#leaves.length; at++, index = 0) {
      const leaf = this.#leaves[at] ?? []
      for (; index < leaf.length; index++) {
        const key = leaf[index]
        if (key === undefined || found.length >= limit || (to !== undefined && key >= to)) return found
        found.push(key)
      }
    }
    return found
  }

  /** The same keys as of `range`, from the last one down. */
  back(from: string | undefined, to: string | undefined, limit: number): string[] {
    const found: string[] = []
    let at = to === undefined ? this.#leaves.length - 1 : this.#leafOf(to)
    let index = to === undefined ? Infinity : firstNotBefore(this.#leaves[at] ?? [], to)
    for (; at >= 0; at--, index = Infinity) {
      const leaf = this.#leaves[at] ?? []
      for (let place = Math.min(index, leaf.length) - 1; place >= 0; place--) {
        const key = leaf[place]
        if (key === undefined || found.length >= limit || (from !== undefined && key < from)) return found
        found.push(key)
      }
    }
    return found
  }

  /** The last leaf that starts at `key` or before it; the first one when none does. */
  #leafOf(key: string): number {
    let low = 0
    let high = this.#leaves.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      const first = this.#leaves[middle]?.[0]
      if (first !== undefined && first <= key) low = middle
      else high = middle - 1
    }
    return low
  }
}

function firstNotBefore(leaf: readonly string[], key: string): number {
  let low = 0
  let high = leaf.length
  while (low < high) {
    const middle = (low + high) >> 1
    const candidate = leaf[middle]
    if (candidate !== undefined && candidate < key) low = middle + 1
    else high = middle
  }
  return low
}

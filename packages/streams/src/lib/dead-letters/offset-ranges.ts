/** Offsets of one partition as sorted ranges. Immutable. */
export class OffsetRanges {
  static readonly none: OffsetRanges = new OffsetRanges([])
  readonly #ranges: readonly (readonly [first: number, last: number])[]

  private constructor(ranges: readonly (readonly [first: number, last: number])[]) {
    this.#ranges = ranges
  }

  /** Parses the output of `toString`; `undefined` for any other text. */
  static parse(text: string): OffsetRanges | undefined {
    if (text === '') return OffsetRanges.none
    const ranges: (readonly [number, number])[] = []
    for (const part of text.split(',')) {
      const [, from, to = from] = RANGE.exec(part) ?? []
      if (from === undefined || Number(to) < Number(from) || !Number.isSafeInteger(Number(to))) return undefined
      ranges.push([Number(from), Number(to)])
    }
    return new OffsetRanges(inOrder(ranges))
  }

  /** The highest offset; -1 when empty. */
  get last(): number {
    return this.#ranges.at(-1)?.[1] ?? -1
  }

  has(offset: number): boolean {
    let low = 0
    let high = this.#ranges.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const range = this.#ranges[middle]
      if (range === undefined || offset < range[0]) high = middle - 1
      else if (offset > range[1]) low = middle + 1
      else return true
    }
    return false
  }

  /** Adds offsets, in any order. */
  with(offsets: readonly number[]): OffsetRanges {
    const all = [...this.#ranges, ...offsets.map((offset) => [offset, offset] as const)]
    return new OffsetRanges(inOrder(all))
  }

  /** Adds everything below an offset: deleted records need no ranges of their own. */
  withAllBelow(offset: number): OffsetRanges {
    if (offset <= 0) return this
    return new OffsetRanges(inOrder([[0, offset - 1], ...this.#ranges]))
  }

  toString(): string {
    return this.#ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',')
  }
}

const RANGE = /^(\d+)(?:-(\d+))?$/

function inOrder(any: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = []
  for (const [first, last] of any.toSorted(([a], [b]) => a - b)) {
    const before = ranges.at(-1)
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else ranges.push([first, last])
  }
  return ranges
}

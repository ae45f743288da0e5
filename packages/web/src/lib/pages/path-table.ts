import type { AnyParams, PatternSegment } from './path-pattern.ts'

export interface PathMatch<T> {
  readonly value: T
  readonly params: AnyParams
}

interface Place<T> {
  readonly segments: readonly PatternSegment[]
  readonly value: T
}

/**
 * Finds the value whose pattern matches a path. In each part, a literal takes precedence over a parameter:
 * `/words/new/` over `/words/:word/`. A parameter matches any text except the empty one.
 */
export class PathTable<T> {
  /** Grouped by the number of parts, the most literal first. */
  readonly #places = new Map<number, Place<T>[]>()

  /** The value set under this pattern, regardless of its parameters' names. */
  get(segments: readonly PatternSegment[]): T | undefined {
    return this.#places.get(segments.length)?.find((place) => order(place.segments, segments) === 0)?.value
  }

  set(segments: readonly PatternSegment[], value: T): void {
    const others = (this.#places.get(segments.length) ?? []).filter((place) => order(place.segments, segments) !== 0)
    this.#places.set(
      segments.length,
      [...others, { segments, value }].toSorted((a, b) => order(a.segments, b.segments)),
    )
  }

  /** @param segments decoded */
  find(segments: readonly string[]): PathMatch<T> | undefined {
    const found = this.#places
      .get(segments.length)
      ?.find((place) =>
        place.segments.every((part, at) => ('literal' in part ? part.literal === segments[at] : segments[at] !== '')),
      )
    if (found === undefined) return undefined
    const params: Record<string, string> = Object.create(null)
    for (const [at, part] of found.segments.entries()) if ('param' in part) params[part.param] = segments[at] ?? ''
    return { value: found.value, params }
  }
}

/**
 * 0 for patterns that match the same paths; otherwise the pattern with the first literal where the other has a
 * parameter sorts first.
 */
function order(one: readonly PatternSegment[], other: readonly PatternSegment[]): number {
  for (const [at, a] of one.entries()) {
    const b = other[at]
    const [first, second] = ['literal' in a ? a.literal : undefined, b && 'literal' in b ? b.literal : undefined]
    if (first === second) continue
    if (first === undefined || second === undefined) return first === undefined ? 1 : -1
    return first < second ? -1 : 1
  }
  return 0
}

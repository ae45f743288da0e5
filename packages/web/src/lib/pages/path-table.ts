import type { AnyParams, PatternSegment } from './path-pattern.ts'

export interface PathMatch<T> {
  readonly value: T
  readonly params: AnyParams
}

interface PathNode<T> {
  readonly literals: Map<string, PathNode<T>>
  param: PathNode<T> | undefined
  end: { readonly value: T; readonly names: readonly string[] } | undefined
}

/**
 * Finds what was set under the pattern that a path matches. Part by part, a literal goes before a parameter: `/words/new/`
 * before `/words/:word/`. A parameter takes any text but the empty one.
 */
export class PathTable<T> {
  readonly #root: PathNode<T> = makeNode()

  /** What was set under this pattern, whatever its parameters are called. */
  get(segments: readonly PatternSegment[]): T | undefined {
    return this.#nodeOf(segments).end?.value
  }

  set(segments: readonly PatternSegment[], value: T): void {
    const names = segments.flatMap((segment) => ('param' in segment ? [segment.param] : []))
    this.#nodeOf(segments).end = { value, names }
  }

  /** @param segments decoded */
  find(segments: readonly string[]): PathMatch<T> | undefined {
    const values: string[] = []
    const end = walk(this.#root, { segments, at: 0, values })
    if (end === undefined) return undefined
    const params: Record<string, string> = Object.create(null)
    for (const [index, name] of end.names.entries()) params[name] = values[index] ?? ''
    return { value: end.value, params }
  }

  #nodeOf(segments: readonly PatternSegment[]): PathNode<T> {
    let node = this.#root
    for (const segment of segments) {
      if ('param' in segment) {
        node = node.param ??= makeNode()
      } else {
        const next = node.literals.get(segment.literal) ?? makeNode()
        node.literals.set(segment.literal, next)
        node = next
      }
    }
    return node
  }
}

interface Walk {
  readonly segments: readonly string[]
  readonly at: number
  /** Of the parameters so far. */
  readonly values: string[]
}

function walk<T>(node: PathNode<T>, { segments, at, values }: Walk): PathNode<T>['end'] {
  const segment = segments[at]
  if (segment === undefined) return node.end
  const literal = node.literals.get(segment)
  const found = literal === undefined ? undefined : walk(literal, { segments, at: at + 1, values })
  if (found !== undefined || node.param === undefined || segment === '') return found
  values.push(segment)
  const byParam = walk(node.param, { segments, at: at + 1, values })
  if (byParam === undefined) values.pop()
  return byParam
}

function makeNode<T>(): PathNode<T> {
  return { literals: new Map(), param: undefined, end: undefined }
}

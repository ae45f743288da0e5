import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import type { ShownMetric } from '@millrace/reference-pages/metrics'

/** Labels by name of each series that Prometheus has when it reads `/metrics`. */
export type KnownSeries = ReadonlyMap<string, ReadonlySet<string>>

/** What Prometheus adds to what it reads; what is called so already becomes `exported_…`. */
const TARGET_LABELS: readonly string[] = ['job', 'instance']

/** What Prometheus has of these metrics, and its own `up`. */
export function seriesOf(metrics: readonly ShownMetric[]): KnownSeries {
  const series = new Map<string, ReadonlySet<string>>([['up', new Set(TARGET_LABELS)]])
  for (const { name, kind, labels } of metrics) {
    const own = labels.map((label) => (TARGET_LABELS.includes(label) ? `exported_${label}` : label))
    const all = [...own, ...TARGET_LABELS]
    if (kind !== 'histogram') series.set(name, new Set(all))
    else {
      for (const part of ['sum', 'count']) series.set(`${name}_${part}`, new Set(all))
      series.set(`${name}_bucket`, new Set([...all, 'le']))
    }
  }
  return series
}

/** What is wrong with an expression, and which labels its result has. */
export interface CheckedExpression {
  readonly problems: readonly string[]
  readonly labels: ReadonlySet<string>
}

/** Parses an expression of PromQL and looks each metric and label of it up. */
export function checkExpression(expression: string, series: KnownSeries): CheckedExpression {
  const problems: string[] = []
  const tree = parser.parse(expression)
  tree.iterate({
    enter: ({ type, from }) => {
      if (type.isError) problems.push(`does not parse at "${expression.slice(from)}"`)
    },
  })
  if (problems.length > 0) return { problems, labels: new Set() }
  const labels = new Labels(expression, series, problems).of(tree.topNode)
  return { problems, labels }
}

/** Follows labels from the series of an expression to its result. */
class Labels {
  readonly #expression: string
  readonly #series: KnownSeries
  readonly #problems: string[]

  constructor(expression: string, series: KnownSeries, problems: string[]) {
    this.#expression = expression
    this.#series = series
    this.#problems = problems
  }

  of(node: SyntaxNode): ReadonlySet<string> {
    if (node.name === 'VectorSelector') return this.#ofSelector(node)
    if (node.name === 'AggregateExpr') return this.#ofAggregate(node)
    if (node.name === 'BinaryExpr') return this.#ofBinary(node)
    const labels = union(children(node).map((child) => this.of(child)))
    if (node.name === 'FunctionCall' && node.getChild('FunctionIdentifier')?.getChild('HistogramQuantile'))
      return without(labels, ['le'])
    return labels
  }

  #ofSelector(node: SyntaxNode): ReadonlySet<string> {
    const name = this.#text(node.getChild('Identifier'))
    const labels = this.#series.get(name)
    if (labels === undefined) {
      this.#problems.push(`"${name}" is no metric of /metrics`)
      return new Set()
    }
    const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
    this.#expect(
      matchers.map((matcher) => this.#text(matcher.getChild('LabelName'))),
      labels,
      name,
    )
    return labels
  }

  #ofAggregate(node: SyntaxNode): ReadonlySet<string> {
    const body = node.getChild('FunctionCallBody')
    const labels = body === null ? new Set<string>() : this.of(body)
    const modifier = node.getChild('AggregateModifier')
    const named = this.#grouping(modifier)
    this.#expect(named, labels, this.#text(body))
    if (modifier?.getChild('By')) return new Set(named)
    if (modifier?.getChild('Without')) return without(labels, named)
    const operation = this.#text(node.getChild('AggregateOp'))
    return operation === 'topk' || operation === 'bottomk' ? labels : new Set()
  }

  #ofBinary(node: SyntaxNode): ReadonlySet<string> {
    const matching = node.getChild('MatchingModifierClause')
    const sides = children(node).filter(({ name }) => name !== 'MatchingModifierClause')
    const [left = new Set<string>(), right = new Set<string>()] = [sides.at(0), sides.at(-1)].map((side) =>
      side === undefined ? new Set<string>() : this.of(side),
    )
    const [on = [], taken = []] = (matching?.getChildren('GroupingLabels') ?? []).map((labels) => this.#names(labels))
    for (const side of [left, right]) this.#expect(on, side, this.#text(node))
    if (matching?.getChild('GroupLeft')) {
      this.#expect(taken, right, this.#text(sides.at(-1) ?? null))
      return union([left, new Set(taken)])
    }
    const keepsLeft = ['And', 'Or', 'Unless'].some((operator) => node.getChild(operator) !== null)
    if (matching?.getChild('On') && !keepsLeft) return new Set(on)
    // Of a vector and a number, those of the vector.
    return left.size === 0 ? right : left
  }

  #grouping(modifier: SyntaxNode | null): readonly string[] {
    const labels = modifier?.getChild('GroupingLabels')
    return labels ? this.#names(labels) : []
  }

  #names(labels: SyntaxNode): readonly string[] {
    return labels.getChildren('LabelName').map((label) => this.#text(label))
  }

  #expect(names: readonly string[], labels: ReadonlySet<string>, where: string): void {
    for (const name of names) if (!labels.has(name)) this.#problems.push(`"${where}" has no label "${name}"`)
  }

  #text(node: SyntaxNode | null): string {
    return node === null ? '' : this.#expression.slice(node.from, node.to)
  }
}

function children(node: SyntaxNode): readonly SyntaxNode[] {
  const all: SyntaxNode[] = []
  for (let child = node.firstChild; child !== null; child = child.nextSibling) all.push(child)
  return all
}

function union(sets: readonly ReadonlySet<string>[]): ReadonlySet<string> {
  return new Set(sets.flatMap((labels) => [...labels]))
}

function without(labels: ReadonlySet<string>, dropped: readonly string[]): ReadonlySet<string> {
  return new Set([...labels].filter((label) => !dropped.includes(label)))
}

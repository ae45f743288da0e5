import { posix } from 'node:path'
import type { Problem } from './problem.ts'
import type { SourceFile, Workspace } from './workspace.ts'

/**
 * Files that import each other in a ring, within and across packages. Dynamic imports count, and so do type imports, but for
 * those within one folder (decision 109).
 */
export function checkImportRings(workspace: Workspace): readonly Problem[] {
  const entryOf = new Map(
    workspace.packages.flatMap(({ name, entries }) => (entries[0] === undefined ? [] : [[name, entries[0]] as const])),
  )
  const graph = new Map(workspace.files.map((file) => [file.path, targetsOf(file, workspace.paths, entryOf)]))
  return strongComponents(graph)
    .filter((ring) => ring.length > 1 || graph.get(ring[0] ?? '')?.includes(ring[0] ?? ''))
    .map((ring) => {
      const [first = '', ...rest] = shortestRing(graph, ring)
      return { file: first, message: `is in an import ring: ${[first, ...rest, first].join(' → ')}` }
    })
}

function targetsOf(
  { path, imports }: SourceFile,
  paths: ReadonlySet<string>,
  entryOf: ReadonlyMap<string, string>,
): readonly string[] {
  const folder = posix.dirname(path)
  return imports.flatMap(({ specifier, isOfTypes }) => {
    const target = specifier.startsWith('.') ? posix.join(folder, specifier) : entryOf.get(specifier)
    if (target === undefined || !paths.has(target)) return []
    return isOfTypes && posix.dirname(target) === folder ? [] : [target]
  })
}

/** Tarjan's algorithm: the sets of nodes that all reach each other. */
function strongComponents(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const components: string[][] = []
  const visit = (node: string): number => {
    const number = order.size
    order.set(node, number)
    let low = number
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!order.has(next)) low = Math.min(low, visit(next))
      else if (stack.includes(next)) low = Math.min(low, order.get(next) ?? low)
    }
    lowest.set(node, low)
    if (low === number) components.push(stack.splice(stack.indexOf(node)))
    return low
  }
  for (const node of graph.keys()) if (!order.has(node)) visit(node)
  return components
}

/** A shortest way from the ring's first file back to itself, for a message that can be followed. */
function shortestRing(graph: ReadonlyMap<string, readonly string[]>, ring: readonly string[]): readonly string[] {
  const [start = ''] = [...ring].sort()
  let ways: readonly (readonly string[])[] = [[start]]
  const seen = new Set<string>()
  while (ways.length > 0) {
    const longer: (readonly string[])[] = []
    for (const way of ways) {
      for (const next of graph.get(way.at(-1) ?? '') ?? []) {
        if (next === start) return way
        if (seen.has(next) || !ring.includes(next)) continue
        seen.add(next)
        longer.push([...way, next])
      }
    }
    ways = longer
  }
  return ring
}

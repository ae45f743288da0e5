import type { AppDescription } from '@millrace/core/operations'
import type { Flow, NodeKind } from '../site-app.ts'

export interface GraphNode {
  /** `{kind}:{name}` */
  readonly id: string
  readonly kind: NodeKind
  readonly name: string
  readonly help: string
  /** Made by Millrace for the app itself. */
  readonly internal: boolean
}

export interface GraphEdge {
  /** Id of a node. */
  readonly from: string
  readonly to: string
}

export interface Graph {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** The app's parts and the flows between them. Each edge occurs once and joins existing nodes. */
export function graphOf(
  { topics, agents, tables }: Pick<AppDescription, 'topics' | 'agents' | 'tables'>,
  flows: readonly Flow[],
): Graph {
  const nodes = new Map<string, GraphNode>()
  const add = (
    kind: NodeKind,
    {
      name,
      help = '',
      internal = false,
    }: { readonly name: string; readonly help?: string; readonly internal?: boolean },
  ): void => {
    const id = idOf({ kind, name })
    if (!nodes.has(id)) nodes.set(id, { id, kind, name, help, internal })
  }
  for (const topic of topics) add('topic', topic)
  for (const agent of agents) add('agent', { name: agent.name, help: agent.help })
  for (const table of tables) add('table', { name: table.name, help: table.help })
  const edges = new Map<string, GraphEdge>()
  const connect = (from: string, to: string): void => {
    if (nodes.has(from) && nodes.has(to)) edges.set(JSON.stringify([from, to]), { from, to })
  }
  for (const { name, topics: sources } of agents) {
    for (const source of sources) {
      add('topic', { name: source })
      connect(idOf({ kind: 'topic', name: source }), idOf({ kind: 'agent', name }))
    }
  }
  for (const { name, sinks = [] } of agents) {
    for (const sink of sinks) {
      add('topic', { name: sink, internal: true })
      connect(idOf({ kind: 'agent', name }), idOf({ kind: 'topic', name: sink }))
    }
  }
  for (const { from, to } of flows) {
    // Topics that no agent declares: those between the steps of a stream, dead letter topics, and topics sent to by
    // name.
    for (const end of [from, to]) if (end.kind === 'topic') add('topic', { name: end.name, internal: true })
    connect(idOf(from), idOf(to))
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] }
}

/** The node that an id stands for. */
export function nodeOf(id: string): { readonly kind: NodeKind; readonly name: string } {
  const [kind = ''] = id.split(':', 1)
  const name = id.slice(kind.length + 1)
  if (kind === 'topic' || kind === 'agent' || kind === 'table') return { kind, name }
  throw new TypeError(`${id} is the id of no node.`)
}

function idOf({ kind, name }: { readonly kind: NodeKind; readonly name: string }): string {
  return `${kind}:${name}`
}

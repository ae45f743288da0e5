import type { AppDescription } from '@millrace/core'
import { option } from '../arguments/grammar.ts'
import { command, type Command } from './command-context.ts'

/** `topology`: what flows where, as far as it is declared; needs no broker. */
export const topologyCommand: Command = command({
  name: 'topology',
  describe: 'Show which agents read and write which topics, and the tables',
  options: [option('mermaid', { type: 'boolean', default: false, describe: 'As a Mermaid flowchart' })],
  examples: ['topology', 'topology --mermaid > topology.mmd'],
  run: ({ app, cli, values, json, terminal }) => {
    const topology = topologyOf(app.describe())
    if (json) cli.json(topology)
    else terminal.stdout.write(`${(values['mermaid'] === true ? mermaidOf(topology) : textOf(topology)).join('\n')}\n`)
    return Promise.resolve(0)
  },
})

/** Topics, agents and tables, and the arrows between them that the app file declares. */
interface DeclaredTopology {
  readonly topics: readonly string[]
  readonly agents: readonly {
    readonly name: string
    readonly reads: readonly string[]
    readonly sends: readonly string[]
  }[]
  /** `source` is the topic that a global table is a copy of. */
  readonly tables: readonly { readonly name: string; readonly kind: string; readonly source: string | null }[]
}

function topologyOf({ agents, tables, topics }: AppDescription): DeclaredTopology {
  const found = agents.map(({ name, topics: reads, sinks: sends = [] }) => ({ name, reads, sends }))
  const named = topics.map(({ name }) => name)
  // A global table stands on a topic that people may write; a changelog is the table's own.
  const copied = tables.map(({ name, kind, changelog }) => ({
    ...{ name, kind },
    source: kind === 'global' && named.includes(changelog) ? changelog : null,
  }))
  const all = new Set([...named, ...found.flatMap(({ reads, sends }) => [...reads, ...sends])])
  return { topics: [...all], agents: found, tables: copied }
}

/** An agent a line, then tables, then topics that no agent is declared to have to do with. */
function textOf({ agents, tables, topics }: DeclaredTopology): readonly string[] {
  const flows = agents.map(({ name, reads, sends }) =>
    [
      reads.length === 0 ? '(a channel)' : reads.join(', '),
      `[${name}]`,
      ...(sends.length === 0 ? [] : [sends.join(', ')]),
    ].join(' -> '),
  )
  const state = tables.map(
    ({ name, kind, source }) =>
      `${source === null ? '' : `${source} -> `}(${name})  ${kind === 'table' ? 'table' : `${kind} table`}`,
  )
  const used = new Set([
    ...agents.flatMap(({ reads, sends }) => [...reads, ...sends]),
    ...tables.flatMap(({ source }) => source ?? []),
  ])
  const left = topics.filter((topic) => !used.has(topic))
  return [...flows, ...state, ...left.map((topic) => `${topic}  no agent is declared to read or write it`)]
}

function mermaidOf({ agents, tables, topics }: DeclaredTopology): readonly string[] {
  const id = (kind: string, names: readonly string[], name: string): string => `${kind}${names.indexOf(name)}`
  const topic = (name: string): string => id('topic', topics, name)
  const agentNames = agents.map(({ name }) => name)
  const tableNames = tables.map(({ name }) => name)
  return [
    'flowchart LR',
    ...topics.map((name) => `  ${topic(name)}[/"${label(name)}"/]`),
    ...agentNames.map((name) => `  ${id('agent', agentNames, name)}["${label(name)}"]`),
    ...tableNames.map((name) => `  ${id('table', tableNames, name)}[("${label(name)}")]`),
    ...agents.flatMap(({ name, reads, sends }) => [
      ...reads.map((from) => `  ${topic(from)} --> ${id('agent', agentNames, name)}`),
      ...sends.map((to) => `  ${id('agent', agentNames, name)} --> ${topic(to)}`),
    ]),
    ...tables.flatMap(({ name, source }) =>
      source === null ? [] : [`  ${topic(source)} --> ${id('table', tableNames, name)}`],
    ),
  ]
}

function label(name: string): string {
  return name.replaceAll('"', '#quot;')
}

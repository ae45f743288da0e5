import { formatDuration } from '@millrace/core'
import type { AppDescription, AppTopic } from '@millrace/core/operations'
import { option } from '../arguments/grammar.ts'
import { cellText } from '../output/foreign-text.ts'
import { command, withClient, type Command } from './command-context.ts'
import { type HeldAgent, heldAgents } from './running-agents.ts'
import { readFromWorker } from './worker-site.ts'

/** `topology`: the declared data flow. Asks a broker only for flows that workers have seen, and a worker if one is named. */
export const topologyCommand: Command = command({
  name: 'topology',
  describe: 'Show which agents read and write which topics, and the tables',
  options: [
    option('mermaid', { type: 'boolean', default: false, describe: 'As a Mermaid flowchart' }),
    option('seen', {
      type: 'boolean',
      default: false,
      describe: "Also what agents were seen to send to in their code; asks the app's broker",
    }),
    option('worker', {
      type: 'string',
      describe: 'Also which agents are paused, as this worker says: its site, http://host:port',
    }),
  ],
  examples: ['topology', 'topology --seen', 'topology --mermaid > topology.mmd'],
  run: async (context) => {
    const { app, cli, values, json, terminal } = context
    const held = values['worker'] === undefined ? [] : heldAgents((await readFromWorker(context, '/stats')).body)
    const isSeen = values['seen'] === true
    const sent = isSeen ? await withClient(app, (client) => client.appTopics()) : []
    const topology = topologyOf(app.describe(), sent, held)
    if (json) cli.json(topology)
    else if (values['mermaid'] === true) terminal.stdout.write(`${mermaidOf(topology).join('\n')}\n`)
    else terminal.stdout.write(`${textOf(topology, isSeen).join('\n')}\n`)
    return 0
  },
})

/** Topics, agents and tables, and the arrows between them, declared or seen. */
interface KnownTopology {
  readonly topics: readonly string[]
  readonly agents: readonly {
    readonly name: string
    readonly reads: readonly string[]
    readonly sends: readonly string[]
    /** Waits after which its failed events come back to it; empty if it retries in place. */
    readonly retriesAfter: readonly string[]
    /** Why it gets no events; `null` if it does, or if no worker was asked. */
    readonly held: string | null
  }[]
  /** `source` is the topic that a global table copies. */
  readonly tables: readonly { readonly name: string; readonly kind: string; readonly source: string | null }[]
}

function topologyOf(
  { agents, tables, topics }: AppDescription,
  sent: readonly AppTopic[],
  held: readonly HeldAgent[],
): KnownTopology {
  const seenOf = (agent: string): readonly string[] =>
    sent.flatMap(({ name, sentBy }) => (sentBy.includes(agent) ? [name] : []))
  const found = agents.map(({ name, topics: reads, sinks = [], retryDelaysMs = [] }) => ({
    ...{ name, reads },
    sends: [...new Set([...sinks, ...seenOf(name)])],
    retriesAfter: retryDelaysMs.map((ms) => formatDuration(ms)),
    held: held.find((one) => one.name === name)?.why ?? null,
  }))
  const named = topics.map(({ name }) => name)
  // People may write to the topic of a global table; a changelog belongs to its table alone.
  const copied = tables.map(({ name, kind, changelog }) => ({
    ...{ name, kind },
    source: kind === 'global' && named.includes(changelog) ? changelog : null,
  }))
  const all = new Set([...named, ...found.flatMap(({ reads, sends }) => [...reads, ...sends])])
  return { topics: [...all], agents: found, tables: copied }
}

/** One line for each agent, then tables, then topics without a known agent. */
function textOf({ agents, tables, topics }: KnownTopology, isSeen: boolean): readonly string[] {
  const flows = agents.map(({ name, reads, sends, retriesAfter, held }) => {
    const path = [
      reads.length === 0 ? '(a channel)' : reads.join(', '),
      `[${name}]${held === null ? '' : ` (${cellText(held)})`}`,
      ...(sends.length === 0 ? [] : [sends.join(', ')]),
    ].join(' -> ')
    return retriesAfter.length === 0 ? path : `${path}  retries after ${retriesAfter.join(', ')}`
  })
  const state = tables.map(
    ({ name, kind, source }) =>
      `${source === null ? '' : `${source} -> `}(${name})  ${kind === 'table' ? 'table' : `${kind} table`}`,
  )
  const used = new Set([
    ...agents.flatMap(({ reads, sends }) => [...reads, ...sends]),
    ...tables.flatMap(({ source }) => source ?? []),
  ])
  const left = topics.filter((topic) => !used.has(topic))
  const none = isSeen
    ? 'no agent is declared to read or write it, or was seen to send to it'
    : 'no agent is declared to read or write it (--seen tells who was seen to send to it)'
  return [...flows, ...state, ...left.map((topic) => `${topic}  ${none}`)]
}

function mermaidOf({ agents, tables, topics }: KnownTopology): readonly string[] {
  const id = (kind: string, names: readonly string[], name: string): string => `${kind}${names.indexOf(name)}`
  const topic = (name: string): string => id('topic', topics, name)
  const agentNames = agents.map(({ name }) => name)
  const tableNames = tables.map(({ name }) => name)
  return [
    'flowchart LR',
    ...topics.map((name) => `  ${topic(name)}[/"${label(name)}"/]`),
    ...agents.map(
      ({ name, held }) =>
        `  ${id('agent', agentNames, name)}["${label(held === null ? name : `${name} (${cellText(held)})`)}"]`,
    ),
    ...tableNames.map((name) => `  ${id('table', tableNames, name)}[("${label(name)}")]`),
    ...agents.flatMap(({ name, reads, sends, retriesAfter }) => [
      ...reads.map((from) => `  ${topic(from)} --> ${id('agent', agentNames, name)}`),
      ...sends.map((to) => `  ${id('agent', agentNames, name)} --> ${topic(to)}`),
      ...(retriesAfter.length === 0 ? [] : [retryLoop(id('agent', agentNames, name), retriesAfter)]),
    ]),
    ...tables.flatMap(({ name, source }) =>
      source === null ? [] : [`  ${topic(source)} --> ${id('table', tableNames, name)}`],
    ),
  ]
}

function retryLoop(agent: string, after: readonly string[]): string {
  return `  ${agent} -. "retries after ${after.join(', ')}" .-> ${agent}`
}

function label(name: string): string {
  return name.replaceAll('"', '#quot;')
}

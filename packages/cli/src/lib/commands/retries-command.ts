import type { AgentRetries, WaitingEventSummary } from '@millrace/core/operations'
import { option, positional } from '../arguments/grammar.ts'
import { wholeNumber } from '../arguments/typed-values.ts'
import { cellText } from '../output/foreign-text.ts'
import { timeText } from '../output/text-table.ts'
import { command, type Command, type CommandContext, requireName, withClient } from './command-context.ts'

/** `retries`: events that wait for their next attempt. Needs no worker. */
export const retriesCommand: Command = command({
  name: 'retries',
  describe: 'List events that wait for their next attempt (retry.delays)',
  options: [option('limit', { type: 'number', default: 5, describe: 'events to show of each agent, those due next' })],
  positionals: [positional('agent', { required: false, describe: 'Name of the agent', completes: 'agents' })],
  examples: ['retries', 'retries charge --limit 20'],
  run: ({ app, cli, json, values }: CommandContext) => list({ app, cli, json, values }),
})

async function list({
  app,
  cli,
  json,
  values,
}: Pick<CommandContext, 'app' | 'cli' | 'json' | 'values'>): Promise<number> {
  const agent = values['agent'] === undefined ? undefined : String(values['agent'])
  if (agent !== undefined) requireName(app, 'agent', agent)
  const next = wholeNumber(values['limit'], '--limit')
  const found = await withClient(app, ({ retries }) => retries.list({ agent, next, signal: cli.signal }))
  if (json) {
    cli.json(found.map((one) => ({ name: one.agent, ...one })))
    return 0
  }
  if (found.every(({ events }) => events === 0)) {
    cli.say(agent === undefined ? `No event of app "${app.id}" waits.` : `No event of agent "${agent}" waits.`)
    return 0
  }
  cli.table(found.map((one) => overview(one)))
  for (const one of found) {
    if (one.next.length === 0) continue
    cli.say(`\n${one.agent}${one.events > one.next.length ? `: the next ${one.next.length}` : ''}`)
    cli.table(one.next.map((event) => rowOf(event)))
  }
  return 0
}

function overview({ agent, events, next: [first] }: AgentRetries): Readonly<Record<string, unknown>> {
  return { agent, waiting: events, next: first === undefined ? '' : timeText(first.due) }
}

function rowOf(event: WaitingEventSummary): Readonly<Record<string, unknown>> {
  const { topic, partition, offset, key, due, attempts, behind, failure } = event
  return {
    due: timeText(due),
    event: cellText(`${topic}/${partition}@${offset}`),
    key: cellText(key ?? ''),
    attempts,
    behind,
    error: cellText([failure?.class, failure?.code, failure?.message].filter(Boolean).join(' · ')),
  }
}

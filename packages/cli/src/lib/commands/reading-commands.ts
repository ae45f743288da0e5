import { jsonText } from '@millrace/core'
import type { CommandLineClient, RecordsRequest, ShownBytes, ShownRecord } from '@millrace/core/operations'
import { option, type ParameterValues, positional } from '../arguments/grammar.ts'
import { readStart, wholeNumber } from '../arguments/typed-values.ts'
import { cellText, shownText } from '../output/foreign-text.ts'
import { timeText } from '../output/text-table.ts'
import { keepAlive } from '../process/keep-alive.ts'
import { command, type Command, type CommandContext, orWrongName, requireName, withClient } from './command-context.ts'

/** `tail TOPIC`: shows new records without joining the group. Ends at a signal or at the limit. */
export const tailCommand: Command = command({
  name: 'tail',
  describe: 'Show records of a topic as they come, decoded as the app declares it',
  options: [
    option('from', {
      type: 'string',
      default: 'end',
      describe: 'beginning, end, an offset, a time (2026-03-01T08:00Z) or how long ago (6h)',
    }),
    option('key', { type: 'string', aliases: ['k'], describe: 'Only records with this key' }),
    option('partition', { type: 'number', describe: 'Only of this partition' }),
    option('limit', { type: 'number', aliases: ['n'], describe: 'End after so many records' }),
  ],
  positionals: [positional('topic', { describe: 'Name of any topic of the broker', completes: 'topics' })],
  examples: ['tail posts', 'tail posts --from 10m --key ann', 'tail posts --from beginning --limit 5 --json'],
  run: async (context) => {
    const { app, cli, values, clock } = context
    const limit = values['limit'] === undefined ? Infinity : wholeNumber(values['limit'], '--limit', 1)
    const request = requestOf(values, clock.now(), cli.signal)
    const release = keepAlive(clock)
    let shown = 0
    try {
      const showAll = async (client: CommandLineClient): Promise<void> => {
        for await (const record of client.records(String(values['topic']), request)) {
          show(record, context)
          if (++shown >= limit) return
        }
      }
      await withClient(app, (client) => orWrongName(showAll(client)))
    } catch (error) {
      // The signal is the normal end.
      if (!cli.signal.aborted || error !== cli.signal.reason) throw error
    } finally {
      release()
    }
    return 0
  },
})

function requestOf(values: ParameterValues, nowMs: number, signal: AbortSignal): RecordsRequest {
  const { key, partition } = values
  return {
    from: readStart('--from', String(values['from']), nowMs),
    follow: true,
    key: key === undefined ? undefined : String(key),
    partition: partition === undefined ? undefined : wholeNumber(partition, '--partition'),
    signal,
  }
}

function show(record: ShownRecord, { cli, json, terminal }: CommandContext): void {
  const { topic, partition, offset, timestamp, key, value, headers } = record
  const time = timeText(timestamp)
  if (json) {
    const named = headers.map(([name, bytes]) => [name, bytes === null ? null : bytes.toString('utf8')])
    // One line each, so that a reader need not wait for the last row.
    terminal.stdout.write(`${jsonText({ topic, partition, offset, timestamp: time, key, value, headers: named })}\n`)
    return
  }
  const place = cli.color.dim(`${topic}/${partition}@${offset}  ${time}`)
  cli.say(`${place}  ${cli.color.bold(textOf(key))}  ${textOf(value)}`)
}

function textOf({ as, value }: ShownBytes): string {
  if (as === 'none') return '-'
  return as === 'hex' ? `0x${String(value)}` : cellText(value)
}

/** `table NAME [KEY]`: committed rows, read from the changelog without a worker. */
export const tableCommand: Command = command({
  name: 'table',
  describe: 'Show committed rows of a table, or the value of one key',
  options: [
    option('limit', { type: 'number', default: 100, describe: 'Most rows to show' }),
    option('prefix', { type: 'string', describe: 'Only keys that begin with this text, in order' }),
    option('from', { type: 'string', describe: 'Only keys from this one on, in order' }),
    option('to', { type: 'string', describe: 'Only keys before this one, in order' }),
  ],
  positionals: [
    positional('name', { describe: 'Name of the table', completes: 'tables' }),
    positional('key', { required: false, describe: 'Key, as text (JSON for keys that are objects)' }),
  ],
  examples: ['table word_counts hello', 'table word_counts --limit 10 --json', 'table word_counts --prefix he'],
  run: (context) => {
    const table = String(context.values['name'])
    requireName(context.app, 'table', table)
    const key = context.values['key']
    return key === undefined ? showRows(context, table) : showKey(context, table, String(key))
  },
})

async function showKey({ app, cli, json, terminal }: CommandContext, table: string, key: string): Promise<number> {
  const { found, value, partition } = await withClient(app, (client) => client.readTable(table, key))
  if (json) cli.json({ name: table, key, found, value: found ? value : null, partition })
  else if (found) cli.say(shownText(typeof value === 'string' ? value : jsonText(value, 2)))
  else terminal.stderr.write(`The table "${table}" has no key "${cellText(key)}" (partition ${partition}).\n`)
  return found ? 0 : 1
}

async function showRows({ app, cli, json, values, terminal }: CommandContext, table: string): Promise<number> {
  const limit = wholeNumber(values['limit'], '--limit', 1)
  const text = (name: string): string | undefined => (values[name] === undefined ? undefined : String(values[name]))
  const range = { limit, prefix: text('prefix'), from: text('from'), to: text('to') }
  const { rows, more } = await withClient(app, (client) => client.readRows(table, range))
  if (json) cli.json(rows.map(({ key, value, partition }) => ({ name: table, key, value, partition })))
  else if (rows.length === 0) cli.say(`The table "${table}" has no rows.`)
  else cli.table(rows.map(({ key, value, partition }) => ({ key, value, partition })))
  if (more) terminal.stderr.write(`There are more rows: --limit ${limit} was reached.\n`)
  return 0
}

/** `lag [AGENT]`: lag of agents by the broker's offsets. Joins no group. */
export const lagCommand: Command = command({
  name: 'lag',
  describe: 'Show how far each agent is behind: committed offset, end and lag of each partition',
  positionals: [positional('agent', { required: false, describe: 'Of this agent only', completes: 'agents' })],
  examples: ['lag', 'lag count-words --json'],
  run: async ({ app, cli, values, json }) => {
    const agent = values['agent'] === undefined ? undefined : String(values['agent'])
    if (agent !== undefined) requireName(app, 'agent', agent)
    const all = await withClient(app, (client) => client.lag())
    const lags = all.filter((each) => agent === undefined || each.agent === agent)
    const rows = lags.map(({ agent: name, topic, partition, committed, end, lag }) => ({
      name: name ?? null,
      topic,
      partition,
      committed: committed ?? null,
      end,
      lag,
    }))
    if (json) cli.json(rows)
    else if (rows.length === 0) cli.say('Nothing to read: no agent has a topic that the broker has.')
    else {
      cli.table(
        rows.map(({ name, committed, ...rest }) => ({ agent: name ?? '', ...rest, committed: committed ?? 'none' })),
      )
      cli.say(`\nIn all ${rows.reduce((sum, { lag }) => sum + lag, 0)} behind.`)
    }
    return 0
  },
})

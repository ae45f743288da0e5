import { jsonText } from '@millrace/core'
import type { CommandLineClient, RecordsRequest, ShownBytes, ShownRecord } from '@millrace/core/operations'
import { option, type ParameterValues, positional } from '../arguments/grammar.ts'
import { readStart, wholeNumber } from '../arguments/typed-values.ts'
import { cellText } from '../output/foreign-text.ts'
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

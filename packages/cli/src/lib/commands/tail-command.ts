import { MillraceError, type RecordsRequest, type ShownBytes, type ShownRecord } from '@millrace/core'
import { readStart } from '../arguments/read-place.ts'
import { option, positional, type ParameterValues } from '../arguments/grammar.ts'
import { cellText, toJson } from '../output/text-table.ts'
import { keepAlive } from '../process/keep-alive.ts'
import { type Command, type CommandContext, withClient } from './command-context.ts'

/** `tail TOPIC`: records as they come, without joining the group. Ends at a signal, or when it has shown enough. */
export const tailCommand: Command = {
  grammar: {
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
    showsSettings: false,
    examples: ['tail posts', 'tail posts --from 10m --key ann', 'tail posts --from beginning --limit 5 --json'],
  },
  logsToOutput: false,
  run: async (context) => {
    const { app, cli, values, clock } = context
    const limit = values['limit'] === undefined ? Infinity : wholeNumber(values['limit'], '--limit', 1)
    const request = requestOf(values, clock.now(), cli.signal)
    const release = keepAlive(clock)
    let shown = 0
    try {
      await withClient(app, async (client) => {
        for await (const record of client.records(String(values['topic']), request)) {
          show(record, context)
          if (++shown >= limit) return
        }
      })
    } catch (error) {
      // The signal is how it ends.
      if (!cli.signal.aborted || error !== cli.signal.reason) throw error
    } finally {
      release()
    }
    return 0
  },
}

function requestOf(values: ParameterValues, nowMs: number, signal: AbortSignal): RecordsRequest {
  const { key, partition } = values
  return {
    from: readStart('--from', String(values['from']), nowMs),
    follow: true,
    key: key === undefined ? undefined : String(key),
    partition: partition === undefined ? undefined : wholeNumber(partition, '--partition', 0),
    signal,
  }
}

function show(record: ShownRecord, { cli, json, terminal }: CommandContext): void {
  const { topic, partition, offset, timestamp, key, value, headers } = record
  const time = timeOf(timestamp)
  if (json) {
    const named = headers.map(([name, bytes]) => [name, bytes === null ? null : bytes.toString('utf8')])
    // A line each, so that whoever reads them need not wait for the last one.
    terminal.stdout.write(`${toJson({ topic, partition, offset, timestamp: time, key, value, headers: named })}\n`)
    return
  }
  const place = cli.color.dim(`${topic}/${partition}@${offset}  ${time}`)
  cli.say(`${place}  ${cli.color.bold(textOf(key))}  ${textOf(value)}`)
}

function textOf({ as, value }: ShownBytes): string {
  if (as === 'none') return '-'
  return as === 'hex' ? `0x${String(value)}` : cellText(value)
}

function timeOf(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}

function wholeNumber(value: unknown, what: string, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value
  throw new MillraceError('COMMAND_USAGE', `${what} takes a whole number from ${least}, not ${String(value)}.`)
}

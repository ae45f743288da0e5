import { jsonText } from '@millrace/core'
import type { WindowsRequest } from '@millrace/core/operations'
import { option, positional } from '../arguments/grammar.ts'
import { readTime, usage, wholeNumber } from '../arguments/typed-values.ts'
import { cellText, shownText } from '../output/foreign-text.ts'
import { command, type Command, type CommandContext, requireName, withClient } from './command-context.ts'
import { watchTable } from './watch-table.ts'

/** `table NAME [KEY]`: committed rows, read from the changelog without a worker; or watched, by asking one. */
export const tableCommand: Command = command({
  name: 'table',
  describe: 'Show committed rows of a table, or the value of one key; of a windowed table, its windows',
  options: [
    option('limit', { type: 'number', default: 100, describe: 'Most rows to show' }),
    option('prefix', { type: 'string', describe: 'Only keys that begin with this text, in order' }),
    option('from', {
      type: 'string',
      describe: 'Only keys from this one on, in order; with a key, only windows that end after a time',
    }),
    option('to', {
      type: 'string',
      describe: 'Only keys before this one, in order; with a key, only windows that begin before a time',
    }),
    option('at', {
      type: 'string',
      describe: 'With a key: its window at a time (2026-03-01T08:00Z), or how long ago (6h)',
    }),
    option('watch', {
      type: 'boolean',
      describe: 'Go on with each change, as a running worker commits it, until a signal',
    }),
    option('worker', {
      type: 'string',
      describe:
        'With --watch: site of any worker of the app, http://host:port; without it the one on this machine at web.port',
    }),
  ],
  positionals: [
    positional('name', { describe: 'Name of the table', completes: 'tables' }),
    positional('key', { required: false, describe: 'Key, as text (JSON for keys that are objects)' }),
  ],
  examples: [
    'table word_counts hello',
    'table word_counts --limit 10 --json',
    'table word_counts --prefix he --watch',
    'table word_counts-tumbling-1m hello --at 10m',
    'table word_counts-tumbling-1m hello --from 1h',
  ],
  run: (context) => {
    const { app, values } = context
    const table = String(values['name'])
    requireName(app, 'table', table)
    const key = values['key'] === undefined ? undefined : String(values['key'])
    const windows = windowsOf(context, table, key)
    if (values['watch'] === true) return watchTable(context, { table, key, windows, range: rangeOf(context, key) })
    return key === undefined ? showRows(context, table) : showKey(context, { table, key, windows })
  },
})

/** `--at`, and with a key `--from` and `--to`, which are times then. Throws `COMMAND_USAGE`. */
function windowsOf({ app, values, clock }: CommandContext, table: string, key: string | undefined): WindowsRequest {
  const time = (name: string): number | undefined =>
    values[name] === undefined ? undefined : readTime(`--${name}`, String(values[name]), clock.now())
  if (key === undefined) {
    if (values['at'] === undefined) return {}
    throw usage('--at is for the windows of one key: name it behind the table.')
  }
  const windows = { at: time('at'), from: time('from'), to: time('to') }
  const isWindowed = app.describe().tables.some(({ name, kind }) => name === table && kind === 'windowed')
  const [given] = Object.entries(windows).find(([, each]) => each !== undefined) ?? []
  if (given === undefined || isWindowed) return windows
  throw usage(`--${given} with a key is for windowed tables, and "${table}" is not one.`)
}

/** Throws `COMMAND_USAGE`. */
function rangeOf({ values }: CommandContext, key: string | undefined): { prefix?: string; from?: string; to?: string } {
  if (key !== undefined) {
    if (values['prefix'] === undefined) return {}
    throw usage('--prefix is for many keys: leave the key out.')
  }
  const text = (name: string): Readonly<Record<string, string>> =>
    values[name] === undefined ? {} : { [name]: String(values[name]) }
  return { ...text('prefix'), ...text('from'), ...text('to') }
}

async function showKey(
  { app, cli, json, terminal }: CommandContext,
  { table, key, windows }: { readonly table: string; readonly key: string; readonly windows: WindowsRequest },
): Promise<number> {
  const { found, value, partition } = await withClient(app, (client) => client.readTable(table, key, windows))
  if (json) cli.json({ name: table, key, found, value: found ? value : null, partition })
  else if (found) cli.say(shownText(typeof value === 'string' ? value : jsonText(value, 2)))
  else terminal.stderr.write(`The table "${table}" has no key "${cellText(key)}" (partition ${partition}).\n`)
  return found ? 0 : 1
}

async function showRows(context: CommandContext, table: string): Promise<number> {
  const { app, cli, json, values, terminal } = context
  const limit = wholeNumber(values['limit'], '--limit', 1)
  const range = { limit, ...rangeOf(context, undefined) }
  const { rows, more } = await withClient(app, (client) => client.readRows(table, range))
  if (json) cli.json(rows.map(({ key, value, partition }) => ({ name: table, key, value, partition })))
  else if (rows.length === 0) cli.say(`The table "${table}" has no rows.`)
  else cli.table(rows.map(({ key, value, partition }) => ({ key, value, partition })))
  if (more) terminal.stderr.write(`There are more rows: --limit ${limit} was reached.\n`)
  return 0
}

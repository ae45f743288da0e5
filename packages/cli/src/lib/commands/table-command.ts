import { MillraceError, nearestName, type CommandLineApp } from '@millrace/core'
import { option, positional } from '../arguments/grammar.ts'
import { toJson } from '../output/text-table.ts'
import { withClient, type Command, type CommandContext } from './command-context.ts'

/** `table NAME [KEY]`: committed state, read from the changelog without a worker. */
export const tableCommand: Command = {
  grammar: {
    name: 'table',
    describe: 'Show committed rows of a table, or the value of one key',
    options: [option('limit', { type: 'number', default: 100, describe: 'Most rows to show' })],
    positionals: [
      positional('name', { describe: 'Name of the table', completes: 'tables' }),
      positional('key', { required: false, describe: 'Key, as text (JSON for keys that are objects)' }),
    ],
    showsSettings: false,
    examples: ['table word_counts hello', 'table word_counts --limit 10 --json'],
  },
  logsToOutput: false,
  run: (context) => {
    const table = String(context.values['name'])
    requireTable(context.app, table)
    const key = context.values['key']
    return key === undefined ? showRows(context, table) : showKey(context, table, String(key))
  },
}

async function showKey({ app, cli, json, terminal }: CommandContext, table: string, key: string): Promise<number> {
  const { found, value, partition } = await withClient(app, (client) => client.readTable(table, key))
  if (json) cli.json({ name: table, key, found, value: found ? value : null, partition })
  else if (found) cli.say(typeof value === 'string' ? value : toJson(value, 2))
  else terminal.stderr.write(`The table "${table}" has no key "${key}" (partition ${partition}).\n`)
  return found ? 0 : 1
}

async function showRows({ app, cli, json, values, terminal }: CommandContext, table: string): Promise<number> {
  const limit = Number(values['limit'])
  if (!Number.isInteger(limit) || limit < 1)
    throw new MillraceError('COMMAND_USAGE', `--limit takes a whole number above 0, not ${limit}.`)
  const { rows, more } = await withClient(app, (client) => client.readRows(table, { limit }))
  if (json) cli.json(rows.map(({ key, value, partition }) => ({ name: table, key, value, partition })))
  else if (rows.length === 0) cli.say(`The table "${table}" has no rows.`)
  else cli.table(rows.map(({ key, value, partition }) => ({ key, value, partition })))
  if (more) terminal.stderr.write(`There are more rows: --limit ${limit} was reached.\n`)
  return 0
}

function requireTable(app: CommandLineApp, table: string): void {
  const names = app.describe().tables.map(({ name }) => name)
  if (names.includes(table)) return
  const nearest = nearestName(table, names)
  const hint =
    nearest !== undefined
      ? `Did you mean "${nearest}"?`
      : names.length > 0
        ? `It has ${names.join(', ')}.`
        : 'It has none.'
  throw new MillraceError('COMMAND_USAGE', `The app "${app.id}" has no table "${table}". ${hint}`)
}

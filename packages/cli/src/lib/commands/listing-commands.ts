import type { AppDescription } from '@millrace/core'
import type { Command } from './command-context.ts'

/** `agents`, `tables`: what the app defines, without a broker. */
export const listingCommands: readonly Command[] = [
  listing('agents', 'List the agents of the app', ({ agents }) =>
    agents.map(({ name, topics, concurrency, help }) => ({ name, topics, concurrency, help })),
  ),
  listing('tables', 'List the tables of the app', ({ tables }) =>
    tables.map(({ name, kind, changelog, help }) => ({ name, kind, changelog, help })),
  ),
]

type ListedRow = { readonly name: string } & Readonly<Record<string, unknown>>

function listing(name: string, describe: string, rowsOf: (app: AppDescription) => readonly ListedRow[]): Command {
  return {
    grammar: { name, describe, options: [], positionals: [], showsSettings: false },
    logsToOutput: false,
    run: ({ app, cli, json }) => {
      const rows = rowsOf(app.describe())
      if (json) cli.json(rows)
      else if (rows.length === 0) cli.say(`The app "${app.id}" has no ${name}.`)
      else cli.table(rows.map((row) => forPeople(row)))
      return Promise.resolve(0)
    },
  }
}

/** Lists as text, and no column of help that nobody wrote. */
function forPeople(row: ListedRow): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(row)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  )
}

import type { AppDescription } from '@millrace/core/operations'
import { command, type Command } from './command-context.ts'

/** `agents`, `tables`: the app's declarations, without a broker. */
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
  return command({
    name,
    describe,
    run: ({ app, cli, json }) => {
      const rows = rowsOf(app.describe())
      if (json) cli.json(rows)
      else if (rows.length === 0) cli.say(`The app "${app.id}" has no ${name}.`)
      else cli.table(rows.map((row) => forPeople(row)))
      return Promise.resolve(0)
    },
  })
}

/** Prints lists as text, and omits an empty help column. */
function forPeople(row: ListedRow): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(row)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  )
}

/** `models`: codecs of keys and values in topics, agents and tables. Needs no broker. */
export const modelsCommand: Command = command({
  name: 'models',
  describe: 'List topics, agents and tables with the codecs of their keys and values',
  run: ({ app, cli, json }) => {
    const rows = modelsOf(app.describe())
    if (json) cli.json(rows)
    else if (rows.length === 0) cli.say(`The app "${app.id}" has no topics, agents or tables.`)
    else cli.table(rows.map((row) => ({ ...row, topic: row.topic ?? '', key: row.key ?? '', value: row.value ?? '' })))
    return Promise.resolve(0)
  },
})

interface ModelRow {
  readonly name: string
  readonly kind: 'topic' | 'agent' | 'table' | 'global table' | 'set table' | 'windowed table' | 'key timers'
  /** The topic that it is read from or kept in; `null` for topics themselves and agents on channels. */
  readonly topic: string | null
  readonly key: string | null
  readonly value: string | null
}

const TABLE_KINDS = {
  table: 'table',
  global: 'global table',
  set: 'set table',
  windowed: 'windowed table',
  timers: 'key timers',
} as const

/** One row for each topic that an agent reads. */
function modelsOf({ topics, agents, tables }: AppDescription): readonly ModelRow[] {
  const codecs = new Map(topics.map((topic) => [topic.name, topic]))
  return [
    ...topics.map(({ name, key = null, value = null }) => ({ name, kind: 'topic' as const, topic: null, key, value })),
    ...agents.flatMap(({ name, topics: read }) =>
      (read.length === 0 ? [null] : read).map((topic) => {
        const { key = null, value = null } = codecs.get(topic ?? '') ?? {}
        return { name, kind: 'agent' as const, topic, key, value }
      }),
    ),
    ...tables.map(({ name, kind, changelog, key, value }) => ({
      name,
      kind: TABLE_KINDS[kind],
      topic: changelog,
      key,
      value,
    })),
  ]
}

import { withClient, type Command } from './command-context.ts'

/** `topics`: the topics that the app uses, and what the broker has of them. */
export const topicsCommand: Command = {
  grammar: {
    name: 'topics',
    describe: 'List the topics of the app, with their partitions on the broker',
    options: [],
    positionals: [],
    showsSettings: false,
  },
  logsToOutput: false,
  run: async ({ app, cli, json }) => {
    const declared = app.describe().topics
    const onBroker = new Map(
      (await withClient(app, (client) => client.topics())).map((topic) => [topic.name, topic.partitions]),
    )
    const rows = declared.map(({ name, partitions, key, value, internal }) => ({
      name,
      partitions: onBroker.get(name) ?? null,
      declared: partitions ?? null,
      key: key ?? null,
      value: value ?? null,
      internal,
    }))
    if (json) cli.json(rows)
    else if (rows.length === 0) cli.say(`The app "${app.id}" has no topics.`)
    else {
      cli.table(
        rows.map(({ name, partitions, key, value, internal }) => ({
          name,
          partitions: partitions ?? 'missing',
          key: key ?? '',
          value: value ?? '',
          kind: internal ? 'internal' : 'declared',
        })),
      )
    }
    return 0
  },
}

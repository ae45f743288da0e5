import { option } from '../arguments/grammar.ts'
import type { Command } from './command-context.ts'

/** `clean-versions`: local stores that other versions of Millrace have left behind. */
export const cleanVersionsCommand: Command = {
  grammar: {
    name: 'clean-versions',
    describe: 'Delete local stores of other versions of Millrace; their rows are in the changelogs',
    options: [option('dry-run', { type: 'boolean', default: false, describe: 'Only list what would be deleted' })],
    positionals: [],
    showsSettings: false,
  },
  logsToOutput: false,
  run: async ({ app, cli, values, json, quiet }) => {
    const stores = await app.otherStores()
    const isDry = values['dry-run'] === true
    if (!isDry) for (const store of stores) await app.removeOtherStore(store)
    const rows = stores.map(({ directory, format }) => ({ name: directory, format }))
    if (json) cli.json(rows)
    else if (rows.length > 0) {
      cli.table(rows)
      if (!quiet) cli.say(isDry ? '\nNothing was deleted.' : '\nDeleted.')
    } else if (!quiet) cli.say(`There are no stores of other versions under ${app.place().dataDirectory}.`)
    return 0
  },
}

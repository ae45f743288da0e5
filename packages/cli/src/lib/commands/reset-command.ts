import { MillraceError, type CommandLineClient, type ResetScope } from '@millrace/core'
import { option } from '../arguments/grammar.ts'
import { confirm } from '../output/confirm.ts'
import { withClient, type Command, type CommandContext } from './command-context.ts'

/** `reset`: the app starts from the beginning of its source topics, with empty tables. */
export const resetCommand: Command = {
  grammar: {
    name: 'reset',
    describe: 'Delete committed offsets, tables and internal topics, so that the app begins anew; sources are kept',
    options: [
      option('yes', { type: 'boolean', aliases: ['y'], default: false, describe: 'Do not ask' }),
      option('dry-run', { type: 'boolean', default: false, describe: 'Only list what would be deleted' }),
    ],
    positionals: [],
    showsSettings: false,
  },
  logsToOutput: false,
  run: (context) => withClient(context.app, (client) => reset(context, client)),
}

async function reset(context: CommandContext, client: CommandLineClient): Promise<number> {
  const { app, cli, values, json } = context
  const scope = await client.resetScope()
  const rows = rowsOf(scope)
  if (values['dry-run'] === true) {
    if (json) cli.json(rows)
    else cli.table(rows)
    return 0
  }
  await refuseMembers(app.id, client)
  if (values['yes'] !== true) {
    if (!json) cli.table(rows)
    const question = `Delete ${rows.length === 1 ? 'this' : `these ${rows.length}`} of the app "${app.id}"?`
    if (!(await confirm(question, context))) {
      cli.say('Nothing was deleted.')
      return 1
    }
  }
  await client.reset(scope)
  if (json) cli.json(rows)
  else cli.say(`The app "${app.id}" begins anew: ${told(scope)} deleted.`)
  return 0
}

/** Before the question: an answer would be for nothing. `reset` itself looks again. */
async function refuseMembers(appId: string, client: CommandLineClient): Promise<void> {
  const members = await client.members()
  if (members.length === 0) return
  const who = members.map(({ id, host }) => `${id} (${host})`).join(', ')
  throw new MillraceError(
    'GROUP_NOT_EMPTY',
    `The app "${appId}" runs: its group has ${members.length === 1 ? 'the member' : `${members.length} members`} ${who}.`,
  )
}

function rowsOf({ groupId, topics, storeDirectory }: ResetScope): readonly { readonly name: string; kind: string }[] {
  return [
    { name: groupId, kind: 'committed offsets' },
    ...topics.map((name) => ({ name, kind: 'topic' })),
    ...(storeDirectory === undefined ? [] : [{ name: storeDirectory, kind: 'store' }]),
  ]
}

function told({ topics, storeDirectory }: ResetScope): string {
  const store = storeDirectory === undefined ? '' : ' and the local store'
  const count = topics.length === 1 ? '1 topic' : `${topics.length} topics`
  return store === '' ? `committed offsets and ${count}` : `committed offsets, ${count}${store}`
}

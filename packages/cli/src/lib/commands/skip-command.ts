import { MillraceError } from '@millrace/core'
import type { PartitionPosition } from '@millrace/core/driver'
import type { CommandLineClient, SkipPlan } from '@millrace/core/operations'
import { option, positional } from '../arguments/grammar.ts'
import { confirm } from '../output/confirm.ts'
import { cellText } from '../output/foreign-text.ts'
import { command, refuseMembers, withClient, type Command, type CommandContext } from './command-context.ts'

/** `skip`: moves the group past one record, or past one unreadable batch. */
export const skipCommand: Command = command({
  name: 'skip',
  describe: 'Make all agents pass over one record, or the batch that it is in when that cannot be read',
  options: [
    option('yes', { type: 'boolean', aliases: ['y'], default: false, describe: 'Do not ask' }),
    option('dry-run', { type: 'boolean', default: false, describe: 'Only say what would be skipped' }),
  ],
  positionals: [
    positional('place', {
      describe: 'TOPIC/PARTITION@OFFSET, as the error says it; no worker of the app may run',
    }),
  ],
  examples: ['skip orders/3@1207 --dry-run'],
  run: (context) => withClient(context.app, (client) => skip(context, client)),
})

async function skip(context: CommandContext, client: CommandLineClient): Promise<number> {
  const { app, cli, values, json } = context
  const record = placeOf(String(values['place']))
  const dry = values['dry-run'] === true
  if (!dry) await refuseMembers(app, client)
  const plan = await client.skipPlan(record)
  if (json) cli.json(rowOf(plan))
  else cli.say(outcomeOf(plan))
  if (dry) return 0
  if (values['yes'] !== true && !(await confirm('Skip it, for every agent?', context))) {
    cli.say('Nothing was changed.')
    return 1
  }
  await client.skip(plan)
  if (!json) cli.say(`The group "${plan.groupId}" goes on behind it.`)
  return 0
}

function placeOf(text: string): PartitionPosition {
  const [, topic, partition, offset] = /^([^/@]+)\/(\d{1,9})@(\d{1,16})$/.exec(text) ?? []
  if (topic !== undefined && Number.isSafeInteger(Number(offset)))
    return { topic, partition: Number(partition), offset: Number(offset) }
  throw new MillraceError('COMMAND_USAGE', `skip takes TOPIC/PARTITION@OFFSET (orders/3@1207), not "${text}".`)
}

function outcomeOf({ topic, partition, from, to, reason, commit }: SkipPlan): string {
  const what =
    to === from + 1
      ? `Offset ${from} of ${topic}/${partition}`
      : `Offsets ${from} to ${to - 1} of ${topic}/${partition}`
  const why = reason === undefined ? 'can be read, and' : `cannot be read (${cellText(reason)}), and`
  return `${what} ${why} would be skipped; the group then has ${commit.offset} committed.`
}

function rowOf({ topic, partition, from, to, reason, commit }: SkipPlan): Readonly<Record<string, unknown>> {
  return { topic, partition, from, to, reason: reason ?? null, committed: commit.offset }
}

import type { CommandLineClient, ResetPlan, ResetRequest, ResetTopic } from '@millrace/core/operations'
import { option, type ParameterValues } from '../arguments/grammar.ts'
import { listOf, readPosition } from '../arguments/typed-values.ts'
import { confirm } from '../output/confirm.ts'
import { command, refuseMembers, withClient, type Command, type CommandContext } from './command-context.ts'

/** `reset`: the app reads its source topics from the beginning, with empty tables. */
export const resetCommand: Command = command({
  name: 'reset',
  describe: 'Make the app begin anew: empty tables, input topics read again; nothing that others wrote is deleted',
  options: [
    option('yes', { type: 'boolean', aliases: ['y'], default: false, describe: 'Do not ask' }),
    option('dry-run', { type: 'boolean', default: false, describe: 'Only list what would happen' }),
    option('to', {
      type: 'string',
      default: 'beginning',
      describe: 'Where input topics are read from: beginning, end, a time (2026-03-01T08:00Z), or how long ago (6h)',
    }),
    option('input', {
      type: 'list',
      completes: 'targets',
      describe: 'A topic (or @agent: its own topic) that is fed from outside; may be repeated',
    }),
    option('intermediate', {
      type: 'list',
      completes: 'targets',
      describe: 'A topic (or @agent) that agents of the app write: passed over to its end; may be repeated',
    }),
    option('dead-letters', { type: 'boolean', default: false, describe: 'Delete dead letters too' }),
  ],
  examples: ['reset --dry-run', 'reset --to 6h'],
  run: (context) => withClient(context.app, (client) => reset(context, client)),
})

async function reset(context: CommandContext, client: CommandLineClient): Promise<number> {
  const { app, cli, values, json, clock } = context
  const plan = await client.resetPlan(requestOf(values, clock.now()))
  const rows = rowsOf(plan)
  if (values['dry-run'] === true) {
    show(plan, context)
    return 0
  }
  await refuseMembers(app, client)
  if (values['yes'] === true) warn(plan, context)
  else if (isDecided(plan)) {
    if (!json) show(plan, context)
    if (!(await confirm(`Reset the app "${app.id}" like this?`, context))) {
      cli.say('Nothing was changed.')
      return 1
    }
  }
  await client.reset(plan)
  if (json) cli.json(rows)
  else cli.say(`The app "${app.id}" begins anew: ${outcomeOf(plan)}.`)
  return 0
}

function requestOf(values: ParameterValues, nowMs: number): ResetRequest {
  return {
    to: readPosition('--to', String(values['to']), nowMs),
    inputs: listOf(values['input']),
    intermediates: listOf(values['intermediate']),
    deadLetters: values['dead-letters'] === true,
  }
}

/** Without these answers `reset` would refuse, and the question would be pointless. */
function isDecided({ topics }: ResetPlan): boolean {
  return topics.every(({ action }) => action !== 'ask')
}

interface ResetRow {
  readonly name: string
  readonly kind: string
  readonly action: ResetTopic['action']
  readonly records: number | null
  /** Offsets from which the group continues; empty if nothing is committed. */
  readonly offsets: readonly { readonly partition: number; readonly offset: number }[]
}

function rowsOf({ groupId, topics, storeDirectory }: ResetPlan): readonly ResetRow[] {
  const row = (name: string, kind: string): ResetRow => ({ name, kind, action: 'delete', records: null, offsets: [] })
  return [
    row(groupId, 'committed offsets'),
    ...topics.map((topic) => ({
      name: topic.name,
      kind: kindOf(topic),
      action: topic.action,
      records: topic.records,
      offsets: topic.offsets.map(({ partition, offset }) => ({ partition, offset })),
    })),
    ...(storeDirectory === undefined ? [] : [row(storeDirectory, 'store')]),
  ]
}

function kindOf({ role, action }: ResetTopic): string {
  if (action === 'rewind') return 'input'
  if (action === 'skip') return 'intermediate'
  return role === 'inbox' ? "agent's own" : role
}

function show(plan: ResetPlan, context: CommandContext): void {
  const { cli, json } = context
  const rows = rowsOf(plan)
  if (json) cli.json(rows)
  else cli.table(rows.map(shownRow))
  warn(plan, context)
}

function warn({ warnings }: ResetPlan, { cli }: CommandContext): void {
  for (const warning of warnings) cli.say(`${cli.color.yellow('Note:')} ${warning}`)
}

function shownRow({ name, kind, action, records, offsets }: ResetRow): Readonly<Record<string, unknown>> {
  return { name, kind, 'what happens': happens(action, offsets.length > 0), records: records ?? undefined }
}

function happens(action: ResetTopic['action'], toOffsets: boolean): string {
  switch (action) {
    case 'rewind':
      return toOffsets ? 'read again from the place given' : 'read again from the beginning'
    case 'skip':
      return 'kept; what is there is passed over'
    case 'delete':
      return 'deleted'
    case 'keep':
      return 'kept'
    case 'ask':
      return 'to be said: --input or --intermediate'
  }
}

function outcomeOf({ topics, storeDirectory }: ResetPlan): string {
  const count = (action: ResetTopic['action']): string => {
    const number = topics.filter((topic) => topic.action === action).length
    return number === 1 ? '1 topic' : `${number} topics`
  }
  const store = storeDirectory === undefined ? '' : ', and the local store'
  const skipped = topics.some(({ action }) => action === 'skip') ? `, ${count('skip')} passed over` : ''
  return `committed offsets and ${count('delete')} deleted${store}; ${count('rewind')} to be read again${skipped}`
}

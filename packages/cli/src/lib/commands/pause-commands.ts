import { hostname } from 'node:os'
import { option, positional } from '../arguments/grammar.ts'
import { cellText } from '../output/foreign-text.ts'
import { command, requireName, type Command, type CommandContext } from './command-context.ts'
import { actOnWorker } from './worker-site.ts'

const WORKER = option('worker', {
  type: 'string',
  describe: 'Site of the worker to ask, http://host:port; without it the one on this machine at web.port',
})
const AGENT = positional('agent', { required: true, describe: 'Name of the agent' })

/** `pause`, `resume`: agents, on all workers of the app. They need a running worker, as `jobs pause` does. */
export const pauseCommands: readonly Command[] = [
  command({
    name: 'pause',
    describe: 'Hand out no more events to an agent, on all workers, until it is resumed; needs a running worker',
    options: [
      WORKER,
      option('why', { type: 'string', describe: 'The reason, for others: shown in /stats and on the page' }),
    ],
    positionals: [AGENT],
    examples: ['pause charge --why "The payment service is down"'],
    run: (context) => {
      const why = context.values['why']
      const note = { by: person(), ...(why === undefined ? {} : { why: String(why) }) }
      return act(context, `pause/?${new URLSearchParams(note).toString()}`)
    },
  }),
  command({
    name: 'resume',
    describe: 'Let a paused agent go on where it has stopped, on all workers; needs a running worker',
    options: [WORKER],
    positionals: [AGENT],
    examples: ['resume charge'],
    run: (context) => act(context, 'resume/'),
  }),
]

async function act(context: CommandContext, action: string): Promise<number> {
  const { app, cli, json, quiet, values } = context
  const agent = String(values['agent'])
  requireName(app, 'agent', agent)
  const { result } = await actOnWorker(context, `/agent/${encodeURIComponent(agent)}/${action}`)
  if (json) cli.json({ name: agent, result })
  else if (!quiet) cli.say(`Agent "${agent}": ${cellText(result)}.`)
  return 0
}

/** Who types the command, and where. */
function person(): string {
  const { USER, USERNAME } = process.env
  const user = USER ?? USERNAME
  return user === undefined ? hostname() : `${user}@${hostname()}`
}

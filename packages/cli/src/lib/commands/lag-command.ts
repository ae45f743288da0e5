import { positional } from '../arguments/grammar.ts'
import { withClient, type Command } from './command-context.ts'
import { requireAgent } from './require-agent.ts'

/** `lag [AGENT]`: how far agents are behind, from what the broker has; joins no group. */
export const lagCommand: Command = {
  grammar: {
    name: 'lag',
    describe: 'Show how far each agent is behind: committed offset, end and lag of each partition',
    options: [],
    positionals: [positional('agent', { required: false, describe: 'Of this agent only', completes: 'agents' })],
    showsSettings: false,
    examples: ['lag', 'lag count-words --json'],
  },
  logsToOutput: false,
  run: async ({ app, cli, values, json }) => {
    const agent = values['agent'] === undefined ? undefined : String(values['agent'])
    if (agent !== undefined) requireAgent(app, agent)
    const all = await withClient(app, (client) => client.lag())
    const lags = all.filter((each) => agent === undefined || each.agent === agent)
    const rows = lags.map(({ agent: name, topic, partition, committed, end, lag }) => ({
      name: name ?? null,
      topic,
      partition,
      committed: committed ?? null,
      end,
      lag,
    }))
    if (json) cli.json(rows)
    else if (rows.length === 0) cli.say('Nothing to read: no agent has a topic that the broker has.')
    else {
      cli.table(
        rows.map(({ name, committed, ...rest }) => ({ agent: name ?? '', ...rest, committed: committed ?? 'none' })),
      )
      cli.say(`\nIn all ${rows.reduce((sum, { lag }) => sum + lag, 0)} behind.`)
    }
    return 0
  },
}

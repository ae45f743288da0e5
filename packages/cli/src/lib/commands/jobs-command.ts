import type { JobDescription } from '@millrace/core/operations'
import { usage } from '../arguments/typed-values.ts'
import { option, positional } from '../arguments/grammar.ts'
import { cellText } from '../output/foreign-text.ts'
import { command, requireName, type Command, type CommandContext } from './command-context.ts'
import { actOnWorker } from './worker-site.ts'

const ACTIONS = ['run', 'pause', 'resume'] as const

/** `jobs`: tasks, timers and cron jobs as they are defined, without a broker; `jobs run|pause|resume NAME` asks a worker. */
export const jobsCommand: Command = command({
  name: 'jobs',
  describe: 'List tasks, timers and cron jobs with their next run; run, pause and resume them on running workers',
  options: [
    option('worker', {
      type: 'string',
      describe: 'run, pause, resume: the site of a worker, http://host:port; else the one on this machine at web.port',
    }),
  ],
  positionals: [
    positional('action', {
      required: false,
      choices: ['list', ...ACTIONS],
      default: 'list',
      describe: 'list, or what to do with the job; a pause is for all workers and lasts until it is resumed',
    }),
    positional('name', { required: false, describe: 'Name of the job' }),
  ],
  examples: ['jobs', 'jobs run daily-report', 'jobs pause daily-report --worker http://10.0.0.7:6066'],
  run: (context) => {
    const { app, cli, json, values } = context
    const action = ACTIONS.find((each) => each === values['action'])
    if (action !== undefined) return act(context, action)
    if (values['name'] !== undefined || values['worker'] !== undefined)
      throw usage(`jobs list takes no ${values['name'] === undefined ? '--worker' : '<name>'}.`)
    const jobs = app.jobs()
    if (json) cli.json(jobs.map(jsonOf))
    else if (jobs.length === 0) cli.say(`The app "${app.id}" has no jobs.`)
    else cli.table(jobs.map(rowOf))
    return Promise.resolve(0)
  },
})

async function act(context: CommandContext, action: (typeof ACTIONS)[number]): Promise<number> {
  const { app, cli, json, quiet, values, terminal } = context
  if (values['name'] === undefined) throw usage(`jobs ${action} needs <name>.`)
  const name = String(values['name'])
  requireName(app, 'job', name)
  const { result, error } = await actOnWorker(context, `/jobs/${encodeURIComponent(name)}/${action}/`)
  if (json) cli.json({ name, result, error: error ?? null })
  else if (!quiet) cli.say(`Job "${name}": ${cellText(result)}.`)
  if (error !== undefined && !json) terminal.stderr.write(`${cellText(error)}\n`)
  return error === undefined ? 0 : 1
}

function jsonOf({ name, kind, schedule, timezone, onLeader, nextRunMs }: JobDescription): object {
  const nextRun = nextRunMs === undefined ? null : new Date(nextRunMs).toISOString()
  return { name, kind, schedule, timezone: timezone ?? null, onLeader, nextRun }
}

function rowOf(job: JobDescription): Record<string, unknown> {
  const { name, kind, schedule, timezone, onLeader } = job
  return {
    name,
    kind,
    schedule: kind === 'timer' ? `every ${schedule}` : schedule,
    timezone: timezone ?? '',
    runs: onLeader ? 'on the leader' : 'on every worker',
    next: nextOf(job),
  }
}

function nextOf({ kind, schedule, nextRunMs }: JobDescription): string {
  if (kind === 'task') return 'when a worker is ready'
  if (kind === 'timer') return `${schedule} after a worker is ready`
  return nextRunMs === undefined ? 'never again' : new Date(nextRunMs).toISOString()
}

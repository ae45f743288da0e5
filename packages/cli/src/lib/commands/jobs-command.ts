import { formatDuration, isMillraceError } from '@millrace/core'
import type { JobDescription, JobState } from '@millrace/core/operations'
import { usage } from '../arguments/typed-values.ts'
import { option, positional } from '../arguments/grammar.ts'
import { cellText } from '../output/foreign-text.ts'
import { command, requireName, type Command, type CommandContext } from './command-context.ts'
import { type RunningJob, runningJobs } from './running-jobs.ts'
import { actOnWorker, readFromWorker } from './worker-site.ts'

const ACTIONS = ['run', 'pause', 'resume'] as const
/** State of a leader job on a worker that does not lead, which knows neither its last nor its next run. */
const WAITING: JobState = 'waiting-for-leader'

/**
 * `jobs`: the declared tasks, timers and cron jobs. State, last run and next run come from a running worker if one
 * answers; the command asks no broker. `jobs run|pause|resume NAME` needs a worker.
 */
export const jobsCommand: Command = command({
  name: 'jobs',
  describe:
    'List tasks, timers and cron jobs with their last and next run; run, pause and resume them on running workers',
  options: [
    option('worker', {
      type: 'string',
      describe: 'Site of the worker to ask, http://host:port; without it the one on this machine at web.port',
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
    if (values['name'] !== undefined) throw usage('jobs list takes no <name>.')
    const jobs = app.jobs()
    if (jobs.length > 0) return list(context, jobs)
    if (json) cli.json([])
    else cli.say(`The app "${app.id}" has no jobs.`)
    return Promise.resolve(0)
  },
})

async function list(context: CommandContext, jobs: readonly JobDescription[]): Promise<number> {
  const { cli, json, quiet, terminal } = context
  const { runs, note } = await runsOf(context)
  if (json) cli.json(jobs.map((job) => jsonOf(job, runs.get(job.name))))
  else cli.table(jobs.map((job) => rowOf(job, runs.get(job.name))))
  if (!quiet) terminal.stderr.write(`${cellText(note)}\n`)
  return 0
}

interface JobRuns {
  /** The worker's answer about jobs, by name. */
  readonly runs: ReadonlyMap<string, RunningJob>
  /** The worker that answered, or the reason that none did. */
  readonly note: string
}

/** An unreachable worker is a failure only if the person named it. */
async function runsOf(context: CommandContext): Promise<JobRuns> {
  try {
    const { worker, site, body } = await readFromWorker(context, '/jobs/')
    const runs = new Map(runningJobs(body).map((job) => [job.name, job]))
    const who = `Worker ${worker ?? 'unknown'} at ${site}`
    const isFollower = [...runs.values()].some(({ state }) => state === WAITING)
    const note = isFollower
      ? `${who} does not lead: what ran on the leader is shown by the leader (--worker).`
      : `Last runs are those of ${who.replace('Worker', 'worker')}, since it started or took the lead.`
    return { runs, note }
  } catch (error) {
    if (context.values['worker'] !== undefined || !isMillraceError(error, 'WORKER_UNREACHABLE', 'ACTION_REFUSED'))
      throw error
    return { runs: new Map(), note: `Last runs and pauses are not known: ${error.detail} Name a worker with --worker.` }
  }
}

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

function jsonOf(job: JobDescription, running: RunningJob | undefined): object {
  const { name, kind, schedule, timezone, onLeader } = job
  return {
    name,
    kind,
    schedule,
    timezone: timezone ?? null,
    onLeader,
    state: running?.state ?? null,
    paused: running?.paused ?? null,
    lastRun: running?.lastRun ?? null,
    nextRun: nextTime(job, running) ?? null,
  }
}

function rowOf(job: JobDescription, running: RunningJob | undefined): Record<string, unknown> {
  const { name, kind, schedule, timezone, onLeader } = job
  return {
    name,
    kind,
    schedule: kind === 'timer' ? `every ${schedule}` : schedule,
    timezone: timezone ?? '',
    runs: onLeader ? 'on the leader' : 'on every worker',
    state: stateOf(running),
    last: lastOf(running),
    next: nextOf(job, running),
  }
}

function stateOf(running: RunningJob | undefined): string {
  if (running === undefined) return 'unknown'
  if (!running.paused || running.state === 'paused') return running.state
  return `${running.state}, paused`
}

function lastOf(running: RunningJob | undefined): string {
  if (running === undefined) return 'unknown'
  const { lastRun, state } = running
  if (lastRun !== undefined)
    return `${lastRun.startedAt} ${lastRun.result} in ${formatDuration(Math.round(lastRun.durationMs))}`
  return state === WAITING ? 'on the leader' : 'none'
}

function nextTime({ nextRunMs }: JobDescription, running: RunningJob | undefined): string | undefined {
  // The worker's answer wins: a paused job has no next run, and a job of another worker runs by its declaration.
  if (running !== undefined && running.state !== WAITING) return running.nextRun
  return nextRunMs === undefined ? undefined : new Date(nextRunMs).toISOString()
}

function nextOf(job: JobDescription, running: RunningJob | undefined): string {
  const { kind, schedule } = job
  const time = nextTime(job, running)
  if (time !== undefined) return time
  if (running?.paused === true) return 'when it is resumed'
  if (kind === 'task') return running === undefined ? 'when a worker is ready' : 'never again'
  if (kind === 'timer') return `${schedule} after a worker is ready`
  return 'never again'
}

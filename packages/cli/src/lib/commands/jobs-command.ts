import type { JobDescription } from '@millrace/core'
import type { Command } from './command-context.ts'

/** `jobs`: tasks, timers and cron jobs as they are defined; needs no broker. */
export const jobsCommand: Command = {
  grammar: {
    name: 'jobs',
    describe: 'List tasks, timers and cron jobs, with the next run that their definitions say',
    options: [],
    positionals: [],
    showsSettings: false,
  },
  logsToOutput: false,
  run: ({ app, cli, json }) => {
    const jobs = app.jobs()
    if (json) cli.json(jobs.map(jsonOf))
    else if (jobs.length === 0) cli.say(`The app "${app.id}" has no jobs.`)
    else cli.table(jobs.map(rowOf))
    return Promise.resolve(0)
  },
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

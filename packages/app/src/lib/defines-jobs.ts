import type { CommandArguments, CommandOutput, CommandParameters, CommandSpec, Duration } from '@millrace/core'
import {
  createCrontab,
  createTask,
  createTimer,
  type CronJob,
  type CrontabOptions,
  type Job,
  type JobFunction,
  type TaskJob,
  type TaskOptions,
  type TimerJob,
  type TimerOptions,
} from '@millrace/scheduler'
import type { AppParts } from './app-parts.ts'
import { commandDefinition } from './command-definition.ts'
import { DefinesTables } from './defines-tables.ts'

/** What an app defines to be run beside its streams: commands by hand, the others by time. */
export class DefinesJobs extends DefinesTables {
  readonly #parts: Pick<AppParts, 'definitions'>

  constructor(parts: Pick<AppParts, 'definitions' | 'streams' | 'tables'>) {
    super(parts)
    this.#parts = parts
  }

  /**
   * Adds a command to the app's command line.
   *
   * @throws `NAME_TAKEN`, `NAME_INVALID`
   * @example
   * app.command('produce', { options: { maxMessages: { type: 'number' } } }, async ({ maxMessages }, cli) => cli.say('SENDING'))
   */
  command<const O extends CommandParameters = {}, const P extends CommandParameters = {}>(
    name: string,
    spec: CommandSpec<O, P>,
    handler: (values: CommandArguments<O, P>, cli: CommandOutput) => void | Promise<void>,
  ): void {
    const { definitions } = this.#parts
    definitions.add('command', { into: definitions.commands, name }, () => commandDefinition(name, spec, handler))
  }

  /**
   * Declares a function that runs once when the worker has joined and recovered; with `onLeader` once in the whole group.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `DURATION_INVALID`, `DEFINITION_LATE`
   * @example
   * app.task(async function onStarted() { console.log('APP STARTED') })
   */
  task(fn: JobFunction): TaskJob
  task(options: TaskOptions, fn: JobFunction): TaskJob
  task(...given: [JobFunction] | [TaskOptions, JobFunction]): TaskJob {
    const [options, fn] = given.length === 1 ? [{}, ...given] : given
    return this.#job(createTask(options, fn))
  }

  /**
   * Declares a function that runs at a fixed rate, without drift and without overlapping itself unless `overlap` says so.
   *
   * @throws as `task`
   * @example
   * app.timer('10s', async function everyTen() { console.log('WAKE UP') })
   */
  timer(every: Duration, fn: JobFunction): TimerJob
  timer(every: Duration, options: TimerOptions, fn: JobFunction): TimerJob
  timer(every: Duration, ...given: [JobFunction] | [TimerOptions, JobFunction]): TimerJob {
    const [options, fn] = given.length === 1 ? [{}, ...given] : given
    return this.#job(createTimer(every, options, fn))
  }

  /**
   * Declares a function that runs by a crontab expression: 5 fields, 6 with seconds first, or `@daily` and the like.
   *
   * @throws as `task`; `CRON_INVALID`, `TIME_ZONE_UNKNOWN`
   * @example
   * app.crontab('0 20 * * *', { timezone: 'America/Los_Angeles', onLeader: true }, async function daily({ slot }) { … })
   */
  crontab(expression: string, fn: JobFunction): CronJob
  crontab(expression: string, options: CrontabOptions, fn: JobFunction): CronJob
  crontab(expression: string, ...given: [JobFunction] | [CrontabOptions, JobFunction]): CronJob {
    const [options, fn] = given.length === 1 ? [{}, ...given] : given
    return this.#job(createCrontab(expression, options, fn))
  }

  #job<J extends Job>(job: J): J {
    const { definitions } = this.#parts
    return definitions.add(
      job.kind === 'cron' ? 'cron job' : job.kind,
      { into: definitions.jobs, name: job.name },
      () => job,
    )
  }
}

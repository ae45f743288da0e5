import {
  MillraceError,
  type CodecSpec,
  type CommandArguments,
  type CommandLineApp,
  type CommandOutput,
  type CommandParameters,
  type CommandSpec,
  type Duration,
  type HasCommandLine,
} from '@millrace/core'
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
import {
  createAgent,
  createChannel,
  createTopic,
  type AgentHandler,
  type AgentOf,
  type AgentOptions,
  type AgentSource,
  type Channel,
  type TopicOf,
  type TopicOptions,
} from '@millrace/streams'
import {
  createGlobalTable,
  createSetTable,
  createTable,
  type Fallback,
  type GlobalSetTable,
  type GlobalTableOf,
  type GlobalTableOptions,
  type KeyOf,
  type SetTable,
  type SetTableOptions,
  type TableOf,
  type TableOptions,
  type ValueOf,
} from '@millrace/tables'
import type {
  AnyParams,
  KeyHandler,
  PageHandler,
  ParamsWith,
  PathParams,
  RoutableTable,
  ViewClass,
} from '@millrace/web'
import { appCommandLine } from './app-command-line.ts'
import type { AppEvents } from './app-events.ts'
import type { AppParts } from './app-parts.ts'
import type { AppStats } from './app-stats.ts'
import { AppScheduler } from './app-scheduler.ts'
import { commandDefinition } from './command-definition.ts'

/**
 * An app: what it declares, and how it is started. Made by `createApp`.
 *
 * Topics, agents and tables are descriptors: they may be declared at the top of modules, before anything runs, and the
 * same app may run several workers in one process.
 */
export class App implements HasCommandLine {
  readonly id: string
  /** For the command line only. */
  readonly 'millrace.command-line': CommandLineApp
  /** Next and last runs of tasks, timers and cron jobs; `trigger`, `pause`, `resume`. */
  readonly scheduler: AppScheduler
  readonly #parts: AppParts

  constructor(parts: AppParts) {
    this.id = parts.runtime.surroundings.settings.id
    this.#parts = parts
    this.scheduler = new AppScheduler(() => parts.runtime.running.map(({ scheduler }) => scheduler))
    this['millrace.command-line'] = appCommandLine(parts)
  }

  /**
   * Declares a topic, to send to and to read from. It is created when it is missing.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `TOPIC_INVALID`, `CODEC_UNKNOWN`, `DEFINITION_LATE`
   * @example
   * const posts = app.topic('posts', { value: 'string' })
   * await posts.send({ value: 'hello world' })
   */
  topic<
    const KS extends CodecSpec | undefined = undefined,
    const VS extends CodecSpec | undefined = undefined,
    const T extends boolean | undefined = undefined,
  >(name: string, options?: TopicOptions<KS, VS, T>): TopicOf<KS, VS, T> {
    const { definitions, streams } = this.#parts
    return definitions.add('topic', { into: definitions.topics, name }, () =>
      createTopic<KS, VS, T>(streams, name, options),
    )
  }

  /**
   * Declares a channel: a topic in memory, for one worker.
   *
   * @example
   * const alerts = app.channel<Alert>()
   */
  channel<T>(name?: string): Channel<T> {
    return createChannel<T>(this.#parts.streams, name)
  }

  /**
   * Declares an agent over a topic, a channel, several of them, or a topic of its own named `{id}-{name}`.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `DEFINITION_INVALID`, `DEFINITION_LATE`
   * @example
   * app.agent('count-words', { key: 'string', value: json(Word) }, async (words) => {
   *   for await (const { word } of words) counts.update(word, (n) => n + 1)
   * })
   */
  agent<const S extends AgentSource, Y = never, const T extends boolean | undefined = undefined>(
    name: string,
    source: S,
    handler: AgentHandler<S, Y, T>,
    options: AgentOptions<NoInfer<Y>, T> = {},
  ): AgentOf<S, Y> {
    const { definitions, streams } = this.#parts
    return definitions.add('agent', { into: definitions.agents, name }, () =>
      createAgent<S, Y, T>(streams, name, source, handler, options),
    )
  }

  /**
   * Declares a table: keyed state, partitioned as its source topics, kept in the changelog `{id}-{name}-changelog`.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `CODEC_UNKNOWN`, `DEFINITION_LATE`
   * @example
   * const counts = app.table('word_counts', { key: 'string', value: 'number', default: () => 0 })
   */
  table<const KS extends CodecSpec, const VS extends CodecSpec, D extends Fallback<VS> = undefined>(
    name: string,
    options: TableOptions<KS, VS, D>,
  ): TableOf<KS, VS, D> {
    const { definitions, tables } = this.#parts
    return definitions.add('table', { into: definitions.tables, name }, () =>
      createTable<KS, VS, D>(tables, name, options),
    )
  }

  /** Declares a table that every worker has whole. Throws as `table` does. */
  globalTable<const KS extends CodecSpec, const VS extends CodecSpec, D extends Fallback<VS> = undefined>(
    name: string,
    options: GlobalTableOptions<KS, VS, D>,
  ): GlobalTableOf<KS, VS, D> {
    const { definitions, tables } = this.#parts
    return definitions.add('global table', { into: definitions.globalTables, name }, () =>
      createGlobalTable<KS, VS, D>(tables, name, options),
    )
  }

  /** Declares a table of sets: `add`, `discard`, `contains`, `values`. With `global: true` every worker has it whole. Throws as `table` does. */
  setTable<const KS extends CodecSpec, const ES extends CodecSpec>(
    name: string,
    options: SetTableOptions<KS, ES> & { readonly global: true },
  ): GlobalSetTable<KeyOf<KS>, ValueOf<ES>>
  setTable<const KS extends CodecSpec, const ES extends CodecSpec>(
    name: string,
    options: SetTableOptions<KS, ES> & { readonly global?: false },
  ): SetTable<KeyOf<KS>, ValueOf<ES>>
  setTable<const KS extends CodecSpec, const ES extends CodecSpec>(
    name: string,
    options: SetTableOptions<KS, ES> & { readonly global?: boolean },
  ): SetTable<KeyOf<KS>, ValueOf<ES>> | GlobalSetTable<KeyOf<KS>, ValueOf<ES>> {
    const { definitions, tables } = this.#parts
    return options.global === true
      ? definitions.add('set table', { into: definitions.globalTables, name }, () =>
          createSetTable<KS, ES>(tables, name, { ...options, global: true }),
        )
      : definitions.add('set table', { into: definitions.tables, name }, () =>
          createSetTable<KS, ES>(tables, name, { ...options, global: false }),
        )
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

  /**
   * Defines a page of the site that every worker serves: a function for GET and HEAD, or a class that extends `View`.
   *
   * @throws `DEFINITION_INVALID`, `NAME_TAKEN`
   * @example
   * app.page('/count/', (c) => c.json({ count: ++count }))
   */
  page<const Path extends string>(path: Path, page: PageHandler<PathParams<Path>> | ViewClass<PathParams<Path>>): void {
    this.#parts.runtime.site.page(path, page)
  }

  /**
   * A page function for one key of a table: it runs on the worker that has the key, wherever the request came in.
   *
   * @example
   * app.page('/words/:word/', app.tableRoute(counts, { param: 'word' }, (c, word) => c.json({ [word]: counts.get(word) })))
   */
  tableRoute<K, const Name extends string>(
    table: RoutableTable<K>,
    place: { readonly param: Name },
    handler: KeyHandler<ParamsWith<Name>, K>,
  ): PageHandler<ParamsWith<Name>>
  tableRoute<K>(
    table: RoutableTable<K>,
    place: { readonly query: string },
    handler: KeyHandler<AnyParams, K>,
  ): PageHandler
  tableRoute<K>(
    table: RoutableTable<K>,
    place: { readonly param: string } | { readonly query: string },
    handler: KeyHandler<AnyParams, K>,
  ): PageHandler {
    const { site } = this.#parts.runtime
    return 'param' in place ? site.tableRoute(table, place, handler) : site.tableRoute(table, place, handler)
  }

  /**
   * The site: `fetch` is the whole of it as a function, for mounting into another server; `url` is where this process
   * serves it, for a person at this machine (`undefined` when no worker runs or `web.enabled` is off).
   */
  get web(): { fetch(request: Request): Promise<Response>; readonly url: string | undefined } {
    const { runtime, lifecycle } = this.#parts
    return { fetch: (request) => runtime.site.fetch(request), url: lifecycle.running?.web?.url() }
  }

  /** Calls `fn` each time; the function returned ends that. */
  on<E extends keyof AppEvents>(event: E, fn: (...told: AppEvents[E]) => void): () => void {
    return this.#parts.lifecycle.on(event, fn)
  }

  /**
   * Runs a worker in this process, without signals and exit codes. Resolves when it has joined its group and recovered.
   *
   * @throws `BROKER_UNREACHABLE` after `connectTimeout`, and whatever makes the topology impossible
   */
  async start(): Promise<void> {
    await this.#parts.lifecycle.start()
  }

  /** Drains, commits, leaves the group and closes all connections; with `hard` nothing more is committed. */
  async stop(options: { readonly hard?: boolean } = {}): Promise<void> {
    await this.#parts.lifecycle.stop(options)
  }

  /** Settles when the worker has ended: resolves after `stop`, rejects with the error that ended it. */
  finished(): Promise<void> {
    return this.#parts.lifecycle.finished()
  }

  /** Figures of the worker; `undefined` when none runs. */
  stats(): AppStats | undefined {
    return this.#parts.lifecycle.running?.site.stats()
  }

  /**
   * Makes the module a command: does nothing unless it is the program that Node was told to run. Last line of an app file.
   *
   * @example
   * await app.main(import.meta)
   */
  async main(meta: { readonly url: string }): Promise<void> {
    const { mainCli } = await import('@millrace/cli')
    await mainCli(this, meta)
  }

  /** @throws `DEFINITION_INVALID` when `app` was made by another copy of this package */
  static partsOf(app: App): AppParts {
    if (!(#parts in app))
      throw new MillraceError('DEFINITION_INVALID', 'The app was made by another copy of @millrace/app.')
    return app.#parts
  }
}

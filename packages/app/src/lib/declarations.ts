import {
  commandDefinition,
  type CodecSpec,
  type CommandArguments,
  type CommandOutput,
  type CommandParameters,
  type CommandSpec,
  type Duration,
  type Immutable,
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
  type SourceKey,
  type SourceValue,
  type TopicOf,
  type TopicOptions,
} from '@millrace/streams'
import {
  createGlobalTable,
  createSetTable,
  createTable,
  type Fallback,
  type GlobalSetTable,
  type GlobalTable as AnyGlobalTable,
  type GlobalTableOf,
  type GlobalTableOptions,
  type KeyOf,
  type SetTable,
  type SetTableOptions,
  type Table as AnyTable,
  type TableOf,
  type TableOptions,
  type ValueOf,
} from '@millrace/tables'
import type { AppRuntime } from './app-runtime.ts'

/** What an app file declares: the half of `App` that starts nothing. */
export class AppDeclarations {
  readonly #runtime: AppRuntime

  constructor(runtime: AppRuntime) {
    this.#runtime = runtime
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
    const { definitions, streams } = this.#runtime
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
    return createChannel<T>(this.#runtime.streams, name)
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
    options: AgentOptions<NoInfer<Y>, T, SourceKey<S>, SourceValue<S>> = {},
  ): AgentOf<S, Y> {
    const { definitions, streams } = this.#runtime
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
    const { definitions, tables } = this.#runtime
    return definitions.add('table', { into: definitions.tables, name }, () =>
      createTable<KS, VS, D>(tables, name, options),
    )
  }

  /** Declares a table that every worker has whole. Throws as `table` does. */
  globalTable<const KS extends CodecSpec, const VS extends CodecSpec, D extends Fallback<VS> = undefined>(
    name: string,
    options: GlobalTableOptions<KS, VS, D>,
  ): GlobalTableOf<KS, VS, D> {
    const { definitions, tables } = this.#runtime
    return definitions.add('global table', { into: definitions.globalTables, name }, () =>
      createGlobalTable<KS, VS, D>(tables, name, options),
    )
  }

  /** Declares a table of sets: `add`, `delete`, `has`, `values`. With `global: true` every worker has it whole. Throws as `table` does. */
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
    const { definitions, tables } = this.#runtime
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
    const { definitions } = this.#runtime
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
    const { definitions } = this.#runtime
    return definitions.add(
      job.kind === 'cron' ? 'cron job' : job.kind,
      { into: definitions.jobs, name: job.name },
      () => job,
    )
  }
}

/**
 * A table of an app by the types of its keys and values, for functions that are given one. It gives values out readonly
 * to their depth; `G` is what `get` gives, where that matters.
 *
 * @example
 * function total(carts: Table<string, Cart>, customer: string): number {
 *   return carts.get(customer)?.items.length ?? 0
 * }
 */
export type Table<K, V, G extends Immutable<V> | undefined = Immutable<V> | undefined> = AnyTable<K, Immutable<V>, G>

/** As `Table`, of a global table. */
export type GlobalTable<K, V, G extends Immutable<V> | undefined = Immutable<V> | undefined> = AnyGlobalTable<
  K,
  Immutable<V>,
  G
>

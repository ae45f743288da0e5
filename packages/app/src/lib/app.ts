import {
  MillraceError,
  type CodecSpec,
  type CommandArguments,
  type CommandLineApp,
  type CommandOutput,
  type CommandParameters,
  type CommandSpec,
  type HasCommandLine,
} from '@millrace/core'
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
import type { WorkerStats } from '@millrace/worker'
import { appCommandLine } from './app-command-line.ts'
import type { AppEvents } from './app-events.ts'
import type { AppParts } from './app-parts.ts'
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
  readonly #parts: AppParts

  constructor(parts: AppParts) {
    this.id = parts.runtime.surroundings.settings.id
    this.#parts = parts
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
  stats(): WorkerStats | undefined {
    return this.#parts.lifecycle.worker?.stats()
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

import {
  type AppSettings,
  type AppStats,
  type Backup,
  callerFile,
  checkOptions,
  type Clock,
  type CommandLineApp,
  type DeadLetters,
  type HasCommandLine,
  type MetricsWriter,
  MillraceError,
  type OptionNames,
  packageDirectory,
} from '@millrace/core'
import { AppScheduler, describeJobPlan } from '@millrace/scheduler'
import type {
  AnyParams,
  KeyHandler,
  PageHandler,
  ParamsWith,
  PathParams,
  RoutableTable,
  ViewSource,
} from '@millrace/web'
import type { AppEvents } from './app-events.ts'
import { type AppEnvironment, AppRuntime } from './app-runtime.ts'
import { AppDeclarations } from './declarations.ts'
import { Lifecycle } from './lifecycle.ts'

/**
 * An app: what it declares, and how it is started. Made by `createApp`.
 *
 * Topics, agents and tables are descriptors: they may be declared at the top of modules, before anything runs, and the
 * same app may run several workers in one process.
 */
export class App extends AppDeclarations implements HasCommandLine {
  readonly id: string
  /** For the command line only. */
  readonly 'millrace.command-line': CommandLineApp
  /** Next and last runs of tasks, timers and cron jobs; `trigger`, `pause`, `resume`. */
  readonly scheduler: AppScheduler
  /**
   * What agents have given up: `list`, `show`, `replay`, as `millrace dlq` does. They need no worker: without one they
   * connect by themselves, until `app.stop()`.
   *
   * @example
   * const [charges] = await app.deadLetters.list({ agent: 'charge' })
   * if (charges !== undefined && charges.waiting > 0) await app.deadLetters.replay('charge', 'all')
   */
  readonly deadLetters: DeadLetters
  readonly #runtime: AppRuntime
  readonly #lifecycle: Lifecycle

  constructor(runtime: AppRuntime) {
    super(runtime)
    this.id = runtime.surroundings.settings.id
    this.#runtime = runtime
    this.#lifecycle = new Lifecycle(runtime)
    this.scheduler = new AppScheduler(() => runtime.running.map(({ scheduler }) => scheduler))
    this.deadLetters = runtime.deadLetters
    this['millrace.command-line'] = appCommandLine(runtime, this.#lifecycle)
  }

  /**
   * Defines a page of the site that every worker serves: a function for GET and HEAD, or a `View`. That may be
   * a class that is made without arguments, an object (with what it needs handed in), or `{ view: () => … }`, which makes
   * the object when the page is first asked for.
   *
   * @throws `DEFINITION_INVALID`, `NAME_TAKEN`
   * @example
   * app.page('/count/', (c) => c.json({ count: ++count }))
   * app.page('/orders/', new OrdersView(database))
   */
  page<const Path extends string>(
    path: Path,
    page: PageHandler<PathParams<Path>> | ViewSource<PathParams<Path>>,
  ): void {
    this.#runtime.site.page(path, page)
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
    const { site } = this.#runtime
    return 'param' in place ? site.tableRoute(table, place, handler) : site.tableRoute(table, place, handler)
  }

  /**
   * The site: `fetch` is the whole of it as a function, for mounting into another server (`peer` is the address of the
   * client: built-in pages that show data answer nobody else without `web.token`); `url` is where this process
   * serves it, for a person at this machine (`undefined` when no worker runs or `web.enabled` is off).
   */
  get web(): { fetch(request: Request, peer?: string): Promise<Response>; readonly url: string | undefined } {
    return {
      fetch: (request, peer) => this.#runtime.site.fetch(request, peer),
      url: this.#lifecycle.running?.web?.url(),
    }
  }

  /**
   * The time that the app runs by: the machine's, or in a test that of the test kit, where `Date.now()` would be the
   * machine's still. `app.clock.now()` is in milliseconds since the epoch.
   *
   * @example
   * if (app.clock.now() - order.placedAt > 60_000) await late.send({ value: order })
   */
  get clock(): Clock {
    return this.#runtime.surroundings.clock
  }

  /** Calls `fn` each time; the function returned ends that. */
  on<E extends keyof AppEvents>(event: E, fn: (...given: AppEvents[E]) => void): () => void {
    return this.#runtime.listeners.on(event, fn)
  }

  /**
   * Runs a worker in this process, without signals and exit codes. Resolves when it has joined its group and recovered.
   *
   * @throws `BROKER_UNREACHABLE` after `connectTimeout`, and whatever makes the topology impossible
   */
  async start(): Promise<void> {
    await this.#lifecycle.start()
  }

  /** Drains, commits, leaves the group and closes all connections; with `hard` nothing more is committed. */
  async stop(options: { readonly hard?: boolean } = {}): Promise<void> {
    await this.#lifecycle.stop(options)
  }

  /**
   * Copies what the app keeps on this machine into a directory that is empty or missing: the embedded log, and the store
   * of the worker that runs in this process, or that nobody has open. The worker goes on meanwhile. Live files must not be
   * copied by other means; `millrace restore` puts a backup back.
   *
   * @throws `BACKUP_REFUSED` when the directory is not empty, or there is nothing to keep; `STORE_IN_USE` when another process
   * has the store: only that one can copy it
   * @example
   * app.crontab('0 3 * * *', () => app.backup(`/backups/${Date.now()}`))
   */
  async backup(directory: string): Promise<Backup> {
    return this.#runtime.data.backup(directory, { logOnly: false })
  }

  /** Settles when the worker has ended: resolves after `stop`, rejects with the error that ended it. */
  finished(): Promise<void> {
    return this.#lifecycle.finished()
  }

  /** Statistics of the worker; `undefined` when none runs. */
  stats(): AppStats | undefined {
    return this.#lifecycle.running?.site.stats()
  }

  /**
   * Writes the metrics of the worker, those of `/metrics` under the same names; nothing when none runs. For what carries
   * metrics elsewhere: `observeMetrics` of `@millrace/sensor-otel` is one such.
   *
   * @example
   * app.writeMetrics({ gauge: (name, help, samples) => console.log(name, samples), counter: () => {}, histogram: () => {} })
   */
  writeMetrics(writer: MetricsWriter): void {
    this.#runtime.site.writeMetrics(writer)
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

  /** The running side. Throws `DEFINITION_INVALID` when `app` was made by another copy of this package. */
  static runtimeOf(app: App): AppRuntime {
    if (#runtime in app) return app.#runtime
    throw new MillraceError('DEFINITION_INVALID', 'The app was made by another copy of @millrace/app.')
  }
}

/** The running side of an app, for test kits. */
export function runtimeOf(app: App): AppRuntime {
  return App.runtimeOf(app)
}

const ENVIRONMENT: OptionNames<AppEnvironment> = { clock: true, log: true, sensor: true, dashboard: true }

/**
 * Makes an app. Starts nothing and connects to nothing.
 *
 * @throws `SETTING_UNKNOWN`, `SETTING_INVALID`, `BROKER_URL_INVALID`, `STORE_URL_INVALID`
 * @example
 * export const app = createApp({ id: 'word-counts', broker: 'kafka://localhost:9092' })
 */
export function createApp(settings: AppSettings, environment: AppEnvironment = {}): App {
  const file = callerFile(createApp)
  checkOptions('the environment of createApp', environment, ENVIRONMENT)
  const home = file === undefined ? process.cwd() : packageDirectory(file)
  return new App(new AppRuntime(settings, home, environment))
}

/** What `millrace -A` sees of an app. */
function appCommandLine(runtime: AppRuntime, lifecycle: Lifecycle): CommandLineApp {
  const { client, definitions, drivers, surroundings } = runtime
  return {
    version: 1,
    id: surroundings.settings.id,
    describe: () => runtime.describe(),
    jobs: () => [...definitions.jobs.values()].map((job) => describeJobPlan(job, surroundings.clock.now())),
    place: () => drivers.place(),
    otherStores: () => drivers.otherStores(),
    removeOtherStore: (store) => drivers.removeOtherStore(store),
    data: runtime.data,
    configure: (options, { log, appFile }) => {
      runtime.configure(options)
      surroundings.log = log
      if (appFile !== undefined) surroundings.home = packageDirectory(appFile)
    },
    start: () => lifecycle.start(),
    stop: (options = {}) => lifecycle.stop(options),
    finished: () => lifecycle.finished(),
    worker: () => {
      const { workerId: id, running } = lifecycle
      if (id === undefined) return undefined
      return { id, tasks: running?.worker.assignment().tasks.length ?? 0, url: running?.web?.url() }
    },
    client: async () => {
      await client.connect()
      return client
    },
  }
}

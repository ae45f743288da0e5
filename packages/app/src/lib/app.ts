import { MillraceError, type Clock, type CommandLineApp, type DeadLetters, type HasCommandLine } from '@millrace/core'
import type {
  AnyParams,
  KeyHandler,
  PageHandler,
  ParamsWith,
  PathParams,
  RoutableTable,
  ViewSource,
} from '@millrace/web'
import { appCommandLine } from './app-command-line.ts'
import type { AppEvents } from './app-events.ts'
import type { AppParts } from './app-parts.ts'
import type { AppStats } from './app-stats.ts'
import { AppScheduler } from './app-scheduler.ts'
import { DefinesJobs } from './defines-jobs.ts'

/**
 * An app: what it declares, and how it is started. Made by `createApp`.
 *
 * Topics, agents and tables are descriptors: they may be declared at the top of modules, before anything runs, and the
 * same app may run several workers in one process.
 */
export class App extends DefinesJobs implements HasCommandLine {
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
  readonly #parts: AppParts

  constructor(parts: AppParts) {
    super(parts)
    this.id = parts.runtime.surroundings.settings.id
    this.#parts = parts
    this.scheduler = new AppScheduler(() => parts.runtime.running.map(({ scheduler }) => scheduler))
    this.deadLetters = parts.runtime.deadLetters()
    this['millrace.command-line'] = appCommandLine(parts)
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

  /**
   * The time that the app runs by: the machine's, or in a test that of the test kit, where `Date.now()` would be the
   * machine's still. `app.clock.now()` is in milliseconds since the epoch.
   *
   * @example
   * if (app.clock.now() - order.placedAt > 60_000) await late.send({ value: order })
   */
  get clock(): Clock {
    return this.#parts.runtime.surroundings.clock
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

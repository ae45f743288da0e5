import {
  type AppSettings,
  callerFile,
  checkOptions,
  type Clock,
  type MetricsWriter,
  MillraceError,
  type OptionNames,
  packageDirectory,
} from '@millrace/core'
import {
  type Backup,
  type CommandDeclarations,
  commandLine,
  type CommandLineApp,
  type DeadLetters,
  declareCommands,
  type HasCommandLine,
} from '@millrace/core/operations'
import type { WorkerStats } from '@millrace/worker'
import { AppAgents, AppScheduler, declareJobs, describeJobPlan, type JobDeclarations } from '@millrace/scheduler'
import { createRepartitionTopic, declareStreams, type Stream, type StreamDeclarations } from '@millrace/streams'
import { declareTables, type TableDeclarations } from '@millrace/tables'
import type { PageDeclarations } from '@millrace/web'
import type { AppEvents } from './app-events.ts'
import { type AppEnvironment, AppRuntime } from './app-runtime.ts'
import { Lifecycle } from './lifecycle.ts'

/**
 * An app: its declarations and its start. Created by `createApp`.
 *
 * Topics, agents and tables are descriptors: they may be declared at the top of modules, before anything runs, and the
 * same app may run several workers in one process.
 */
export interface App
  extends
    StreamDeclarations,
    TableDeclarations,
    JobDeclarations,
    PageDeclarations,
    HasCommandLine,
    CommandDeclarations {
  readonly id: string
  /** Next and last runs of tasks, timers and cron jobs; `trigger`, `pause`, `resume`. */
  readonly scheduler: AppScheduler
  /**
   * Agents: `pause`, `resume`, on all workers, as `millrace pause` and the page do.
   *
   * @example
   * await app.agents.pause('charge', { why: 'The payment service is down' })
   */
  readonly agents: AppAgents
  /**
   * Dead letters of the agents: `list`, `show`, `replay`, as `millrace dlq` does. They need no worker: without one they
   * connect by themselves, until `app.stop()`.
   *
   * @example
   * const [charges] = await app.deadLetters.list({ agent: 'charge' })
   * if (charges !== undefined && charges.waiting > 0) await app.deadLetters.replay('charge', 'all')
   */
  readonly deadLetters: DeadLetters

  /**
   * The site. `fetch` is the whole site as a function, for mounting into another server; `peer` is the address of the
   * client, and without it and without `web.token`, built-in pages with data refuse every caller. `url` is where this
   * process serves the site, for a person at this machine; `undefined` if no worker runs or `web.enabled` is off.
   */
  readonly web: { fetch(request: Request, peer?: string): Promise<Response>; readonly url: string | undefined }

  /**
   * The app's clock: the machine's or, in a test, the test kit's, which `Date.now()` does not follow. `app.clock.now()`
   * is in milliseconds since the epoch.
   *
   * @example
   * if (app.clock.now() - order.placedAt > 60_000) await late.send({ value: order })
   */
  readonly clock: Clock

  /** Calls `fn` each time; the returned function unsubscribes. */
  on<E extends keyof AppEvents>(event: E, fn: (...given: AppEvents[E]) => void): () => void

  /**
   * Runs a worker in this process, without handling signals or setting exit codes. Resolves when it has joined its
   * group and recovered.
   *
   * @throws `BROKER_UNREACHABLE` after `connectTimeout`, and errors of an impossible topology
   */
  start(): Promise<void>

  /** Drains, commits, leaves the group and closes all connections; with `hard`, commits nothing more. */
  stop(options?: { readonly hard?: boolean }): Promise<void>

  /**
   * Copies the app's data on this machine into an empty or missing directory: the embedded log, and the store, if the
   * worker of this process has it or no process does. The worker continues meanwhile. Do not copy live files by other
   * means; `millrace restore` restores a backup.
   *
   * @throws `BACKUP_REFUSED` if the directory is not empty or the app has no data here; `STORE_IN_USE` if another
   * process has the store, because only that process can copy it
   * @example
   * app.crontab('0 3 * * *', () => app.backup(`/backups/${Date.now()}`))
   */
  backup(directory: string): Promise<Backup>

  /** Settles when the worker has ended: resolves after `stop`, rejects with the error that ended it. */
  finished(): Promise<void>

  /** Statistics of the worker; `undefined` if none runs. */
  stats(): WorkerStats | undefined

  /**
   * Writes the worker's metrics under the names of `/metrics`; nothing if no worker runs. For exporters such as
   * `observeMetrics` of `@millrace/sensor-otel`.
   *
   * @example
   * app.writeMetrics({ gauge: (name, help, samples) => console.log(name, samples), counter: () => {}, histogram: () => {} })
   */
  writeMetrics(writer: MetricsWriter): void

  /**
   * Makes the module a command; does nothing unless it is the program that Node runs. The last line of an app file.
   *
   * @example
   * await app.main(import.meta)
   */
  main(meta: { readonly url: string }): Promise<void>

  /** @internal */
  readonly [RUNTIME]: AppRuntime
}

const RUNTIME: unique symbol = Symbol('runtime')

/**
 * The running side of an app, for test kits. Throws `DEFINITION_INVALID` if another copy of this package created `app`.
 */
export function runtimeOf(app: App): AppRuntime {
  if (RUNTIME in app) return app[RUNTIME]
  throw new MillraceError('DEFINITION_INVALID', 'The app was made by another copy of @millrace/app.')
}

const ENVIRONMENT: OptionNames<AppEnvironment> = { clock: true, log: true, sensor: true, dashboard: true }

/**
 * Creates an app. Starts nothing and connects to nothing.
 *
 * @throws `SETTING_UNKNOWN`, `SETTING_INVALID`, `BROKER_URL_INVALID`, `STORE_URL_INVALID`
 * @example
 * export const app = createApp({ id: 'word-counts', broker: 'kafka://localhost:9092' })
 */
export function createApp(settings: AppSettings, environment: AppEnvironment = {}): App {
  const file = callerFile(createApp)
  checkOptions('the environment of createApp', environment, ENVIRONMENT)
  const home = file === undefined ? process.cwd() : packageDirectory(file)
  return appOver(new AppRuntime(settings, home, environment))
}

/** The declarations of each package over one runtime, and how one of its workers runs. */
function appOver(runtime: AppRuntime): App {
  const { data, deadLetters, definitions, listeners, site, streams, surroundings, tables } = runtime
  const lifecycle = new Lifecycle(runtime)
  const declared = declareStreams(streams, definitions)
  const app: App = {
    ...declared,
    ...declareTables(tables, definitions, {
      onClose: (table, closed, handle) => {
        // Each view of a table may have one: the first has the short name.
        const name = [`${table}-close`, `${closed.name}-close`].find((free) => !definitions.agents.has(free))
        declared.agent(name ?? closed.name, closed, async (windows) => {
          for await (const window of windows) await handle(window)
        })
      },
      consume: (agent, table, handle) => {
        const topic = createRepartitionTopic(streams, {
          ...{ subscriptionId: agent, key: 'bytes', value: 'bytes', partitions: undefined, sizedAsState: table },
        })
        const handler = async (records: Stream<unknown, unknown>): Promise<void> => {
          // Both are bytes, as the topic says.
          for await (const { key, value } of records.events()) handle(key as Buffer, value as Buffer)
        }
        declared.agent(agent, topic, handler, { concurrency: 1, help: 'Joins tables by a key in their rows' })
        return topic.name
      },
      fill: (agent, { name }, write) => {
        const topic = definitions.topics.get(name)
        if (topic === undefined)
          throw new MillraceError(
            'DEFINITION_INVALID',
            `from of a table takes a topic of the app, and "${name}" is none.`,
          )
        const handler = async (records: Stream<unknown, unknown>): Promise<void> => {
          // The types of keys and values are those of the topic, as the table was given it.
          for await (const { key, value } of records.events()) write(key as never, value as never)
        }
        declared.agent(agent, topic, handler, { tombstones: true, concurrency: 1, help: `Fills a table from ${name}` })
      },
    }),
    ...declareJobs(definitions),
    ...declareCommands(definitions),
    page: site.page,
    tableRoute: site.tableRoute,
    id: surroundings.settings.id,
    scheduler: new AppScheduler(() => runtime.running.map(({ scheduler }) => scheduler)),
    agents: new AppAgents(() => runtime.running.map(({ scheduler }) => scheduler)),
    deadLetters,
    get web() {
      return {
        fetch: (request: Request, peer?: string) => site.fetch(request, peer),
        url: lifecycle.running?.web?.url(),
      }
    },
    get clock() {
      return surroundings.clock
    },
    on: (event, fn) => listeners.on(event, fn),
    // The caller's mistakes reject, too.
    start: async () => lifecycle.start(),
    stop: (options = {}) => lifecycle.stop(options),
    backup: async (directory) => data.backup(directory, { logOnly: false }),
    finished: () => lifecycle.finished(),
    stats: () => lifecycle.running?.site.stats(),
    writeMetrics: (writer) => site.writeMetrics(writer),
    main: async (meta) => {
      const { mainCli } = await import('@millrace/cli')
      await mainCli(app, meta)
    },
    [commandLine]: appCommandLine(runtime, lifecycle),
    [RUNTIME]: runtime,
  }
  return app
}

/** The app as `millrace -A` sees it. */
function appCommandLine(runtime: AppRuntime, lifecycle: Lifecycle): CommandLineApp {
  const { client, data, definitions, drivers, surroundings } = runtime
  return {
    version: 1,
    id: surroundings.settings.id,
    describe: () => runtime.describe(),
    jobs: () => [...definitions.jobs.values()].map((job) => describeJobPlan(job, surroundings.clock.now())),
    place: () => drivers.place(),
    schemas: () => runtime.codecs.sources.map(({ admin }) => admin),
    otherStores: () => data.otherStores(),
    removeOtherStore: (store) => data.removeOtherStore(store),
    data,
    configure: (options, { log, appFile, siblings }) => {
      runtime.configure(options)
      surroundings.log = log
      surroundings.siblings = siblings
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
      await client.connect({ toRead: true })
      return client
    },
  }
}

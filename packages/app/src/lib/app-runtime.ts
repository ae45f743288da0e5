import { AsyncLocalStorage } from 'node:async_hooks'
import { AppClient, AppData, type ClientApp, describeApp, type LocalApp } from '@millrace/client'
import {
  type AppSettings,
  type Clock,
  Listeners,
  type Logger,
  packageVersion,
  plainLogger,
  requireProductionSettings,
  resolveSettings,
  type Sensor,
  silentSensor,
  type Surroundings,
  surroundingsOf,
  systemClock,
  TopicCodecs,
} from '@millrace/core'
import type { Admin, StoreDriver, Transport } from '@millrace/core/driver'
import type { AppDescription, DeadLetters, Retries } from '@millrace/core/operations'
import { dashboard } from '@millrace/dashboard'
import { schedulerPart, type SchedulerPart } from '@millrace/scheduler'
import { memoryStore } from '@millrace/state'
import {
  agentsPart,
  createDeadLetters,
  createRetries,
  currentTrace,
  DEFAULT_ERROR_POLICY,
  JoinStates,
  ReplyInboxes,
  type StreamsDeps,
  StreamStates,
} from '@millrace/streams'
import { globalTablesPart, StreamWindows, type TablesDeps } from '@millrace/tables'
import { createSite, type Site, type SiteApp, type SiteWorker, siteWorker, webPart, type WebPart } from '@millrace/web'
import {
  type ClientContext,
  type ContextStorage,
  createWorker,
  type ProcessingContext,
  type Worker,
  workerSettings,
} from '@millrace/worker'
import { APP_EVENTS, type AppEvents } from './app-events.ts'
import { codecsPart } from './codecs-part.ts'
import { Definitions } from './definitions.ts'
import { Drivers } from './drivers.ts'
import { instanceOf, ownPort } from './one-of-processes.ts'

/** What an app takes from outside besides its settings, if it does not run by itself. */
export interface AppEnvironment {
  /** Default: the machine's clock. */
  readonly clock?: Clock | undefined
  /** Default: warnings and errors on standard error, one JSON object a line. `millrace worker` logs through pino. */
  readonly log?: Logger | undefined
  /** Notified of events on the workers. */
  readonly sensor?: Sensor | undefined
  /** False replaces the page at `/`, and the JSON that only it needs, by an index of the pages. Default true. */
  readonly dashboard?: boolean | undefined
}

/** Options to launch one worker. */
export interface Launch {
  readonly workerId: string
  /** Replaces those that the settings name. */
  readonly drivers?: { readonly transport: Transport; readonly store: StoreDriver }
}

/** A worker of this process, with its named parts. */
export interface RunningWorker {
  readonly worker: Worker
  readonly store: StoreDriver
  readonly scheduler: SchedulerPart
  /** The worker as its web site sees it. */
  readonly site: ReturnType<typeof siteWorker>
  /** `undefined` if it serves none. */
  readonly web: WebPart | undefined
}

/** The running side of an app: its workers, its client and its site. */
export class AppRuntime implements ClientApp, LocalApp, SiteApp {
  readonly definitions: Definitions = new Definitions()
  readonly declared: Definitions['declared'] = this.definitions.declared
  readonly contexts: ContextStorage = new AsyncLocalStorage<ProcessingContext>()
  readonly surroundings: Surroundings
  readonly drivers: Drivers
  readonly codecs: TopicCodecs
  readonly listeners: Listeners<AppEvents> = new Listeners(APP_EVENTS, (event, err) =>
    this.surroundings.log.error({ err }, `A listener of "${event}" (app.on) has failed.`),
  )
  readonly client: AppClient = new AppClient(this)
  readonly data: AppData = new AppData(this)
  readonly site: Site
  readonly streams: StreamsDeps
  readonly tables: TablesDeps
  readonly #argument: AppSettings
  /** Options of the command line. */
  #options: Readonly<Record<string, string>> = {}
  readonly #running: RunningWorker[] = []

  constructor(argument: AppSettings, home: string, environment: AppEnvironment) {
    const { clock = systemClock(), log = plainLogger(clock), sensor = silentSensor } = environment
    const settings = resolveSettings({ env: process.env, argument })
    this.#argument = argument
    const surroundings = surroundingsOf({
      settings,
      home,
      clock,
      log,
      sensor,
      freeze: settings.freeze,
      siblings: undefined,
      openTransport: undefined,
    })
    this.surroundings = surroundings
    this.drivers = new Drivers(surroundings)
    this.codecs = new TopicCodecs(surroundings)
    this.tables = {
      appId: settings.id,
      contexts: this.contexts,
      workers: () => this.#running.map(({ worker }) => worker.context),
      codecs: this.codecs,
    }
    this.streams = {
      appId: settings.id,
      contexts: this.contexts,
      askTimeoutMs: () => surroundings.settings.agent.askTimeoutMs,
      replies: new ReplyInboxes(),
      context: () => this.context(),
      runningWorker: () => this.#running[0]?.worker.context,
      windows: new StreamWindows(this.tables, this.definitions),
      joins: new JoinStates(this.tables),
      states: new StreamStates(this.tables),
      codecs: this.codecs,
      tracing: sensor.tracing,
    }
    sensor.tracing?.attach(() => currentTrace(this.contexts))
    this.site = createSite(this, environment.dashboard === false ? undefined : dashboard)
  }

  /** Applies options of the command line. Throws as `createApp` does. */
  configure(options: Readonly<Record<string, string>>): void {
    this.#options = options
    this.surroundings.settings = resolveSettings({ options, env: process.env, argument: this.#argument })
  }

  describe(): AppDescription {
    const commands = [...this.definitions.commands.values()]
    return {
      ...describeApp(this.declared, this.surroundings.settings),
      version: packageVersion(import.meta.url),
      commands,
    }
  }

  /**
   * The context of a call made here: that of the current work, otherwise that of the first running worker, otherwise a
   * client of the app's own.
   */
  async context(): Promise<ClientContext> {
    return this.contexts.getStore()?.client ?? this.#running[0]?.worker.context ?? (await this.client.sender())
  }

  async openTransport(): Promise<Transport> {
    return this.surroundings.openTransport?.() ?? this.drivers.transport()
  }

  async emptyLog(): Promise<Transport | undefined> {
    return this.surroundings.openTransport === undefined ? this.drivers.emptyLog() : undefined
  }

  runningStore(): StoreDriver | undefined {
    return this.#running[0]?.store
  }

  memoryStore(): StoreDriver {
    return memoryStore()
  }

  async closing(client: ClientContext): Promise<void> {
    await this.streams.replies.close(client)
    this.#rest()
  }

  /** Uses the client's connection. */
  readonly deadLetters: DeadLetters = {
    list: async (options) => (await this.#letters({ toRead: true })).list(options),
    show: async (agent, which, options) => (await this.#letters({ toRead: true })).show(agent, which, options),
    replay: async (agent, which, options) => (await this.#letters()).replay(agent, which, options),
  }

  /** Uses the client's connection. */
  readonly retries: Retries = {
    list: async (listing) => {
      const { transport, admin } = await this.client.connect({ toRead: true })
      const { settings, clock } = this.surroundings
      const agents = [...this.definitions.agents.values()]
      return createRetries({ appId: settings.id, agents, transport, admin, clock }).list(listing)
    },
  }

  async #letters(how?: { readonly toRead: boolean }): Promise<DeadLetters> {
    const { client, transport, admin } = await this.client.connect(how)
    return this.#lettersOver(transport, {
      topics: (names) => admin.topics(names),
      createTopics: (specs) => client.createTopics(specs),
    })
  }

  #lettersOver(transport: Transport, admin: Pick<Admin, 'topics' | 'createTopics'>): DeadLetters {
    const { settings, clock } = this.surroundings
    const agents = [...this.definitions.agents.values()]
    const topicsReadBy = (agent: string): Promise<ReadonlySet<string>> => this.client.topicsReadBy(agent)
    return createDeadLetters({ appId: settings.id, agents, topicsReadBy, transport, admin, clock })
  }

  workers(): readonly SiteWorker[] {
    return this.#running.map(({ site }) => site)
  }

  /** The workers of this process, in the order of their start. */
  get running(): readonly RunningWorker[] {
    return this.#running
  }

  /** Creates a worker; the caller starts it. It counts as running until it has finished. */
  async launch({ workerId, drivers }: Launch): Promise<RunningWorker> {
    this.definitions.close()
    if (drivers === undefined)
      requireProductionSettings({ options: this.#options, env: process.env, argument: this.#argument })
    const { settings, clock, log, redact, sensor, freeze, siblings } = this.surroundings
    const { id: appId, agent } = settings
    const { agents: declaredAgents, globalTables, jobs } = this.definitions
    const { retries, backoffMs, maxBackoffMs, concurrency } = agent
    const errorPolicy = { ...DEFAULT_ERROR_POLICY, retries, backoffMs, maxBackoffMs }
    const agents = agentsPart(this.streams, [...declaredAgents.values()], { errorPolicy, concurrency })
    const scheduler = schedulerPart({ appId, contexts: this.contexts, agents }, [...jobs.values()])
    const transport = drivers?.transport ?? (await this.drivers.transport())
    const store = drivers?.store ?? (await this.drivers.store())
    const driver = settings.web.enabled && drivers === undefined ? await this.drivers.web() : undefined
    let letters: DeadLetters | undefined
    const site = siteWorker({
      worker: () => worker,
      agents,
      jobs: scheduler,
      letters: () => (letters ??= this.#lettersOver(transport, transport.admin())),
      startedAt: new Date(clock.now()),
      address: () => web?.address(),
    })
    const web =
      driver &&
      webPart(
        { site: this.site, driver, worker: () => site, log },
        { ...settings.web, ownPort: ownPort(settings, siblings), graceMs: settings.shutdownTimeoutMs / 3 },
      )
    const globals = globalTablesPart([...globalTables.values()], { freeze })
    const worker = createWorker({
      appId,
      workerId,
      transport,
      store,
      clock,
      log,
      redact,
      sensor,
      freeze,
      contexts: this.contexts,
      settings: { ...workerSettings(settings), ...instanceOf(settings, siblings) },
      webAddress: () => web?.address(),
      parts: [
        codecsPart(this.codecs),
        this.definitions.part,
        globals,
        agents,
        scheduler,
        ...(web === undefined ? [] : [web]),
      ],
    })
    const running: RunningWorker = { worker, store, scheduler, site, web }
    this.#running.push(running)
    worker.on('partitionsAssigned', (partitions) => this.listeners.notify('partitionsAssigned', partitions))
    worker.on('partitionsLost', (partitions) => this.listeners.notify('partitionsLost', partitions))
    worker.on('rebalanceComplete', (change) => this.listeners.notify('rebalanceComplete', change))
    const gone = (): void => {
      this.forget(running)
      this.#rest()
    }
    worker.finished.then(gone, gone)
    return running
  }

  /** The worker no longer counts as running: it has finished, or a test has killed it. */
  forget(running: RunningWorker): void {
    const at = this.#running.indexOf(running)
    if (at >= 0) this.#running.splice(at, 1)
  }
  /**
   * Frees the storages once no worker runs. Until a storage is disabled, Node keeps it and passes its value to every
   * promise of the process, so a process that creates app after app would become slower with each. The next event, page
   * or job enables it again.
   */
  #rest(): void {
    if (this.#running.length === 0) this.contexts.disable()
  }
}

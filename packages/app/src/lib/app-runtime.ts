import { AsyncLocalStorage } from 'node:async_hooks'
import {
  MillraceError,
  resolveSettings,
  silentSensor,
  systemClock,
  type Admin,
  type AppSettings,
  type ClientContext,
  type Clock,
  type DeadLetters,
  type Logger,
  type ResolvedSettings,
  type ScopeStorage,
  type Sensor,
  type StoreDriver,
  type Transport,
  type WorkScope,
} from '@millrace/core'
import { schedulerPart } from '@millrace/scheduler'
import { agentsPart, ReplyInboxes, type StreamsDeps } from '@millrace/streams'
import { globalTablesPart, type TablesDeps } from '@millrace/tables'
import { webPart, type Site } from '@millrace/web'
import type { MemoryLog } from '@millrace/transport-embedded'
import { createClient, createWorker, workerSettings, type Client } from '@millrace/worker'
import { appDeadLetters } from './app-dead-letters.ts'
import type { AppEnvironment } from './app-environment.ts'
import { AppListeners } from './app-listeners.ts'
import { createDeclaredTopics } from './create-declared-topics.ts'
import type { Definitions } from './definitions.ts'
import { definitionsPart } from './definitions-part.ts'
import { directoriesOf, openStore, openTransport, openWebDriver, type DriverChoice } from './drivers.ts'
import { errorPolicyOf } from './error-policy-of.ts'
import { plainLogger } from './plain-logger.ts'
import type { RunningWorker } from './running-worker.ts'
import { siteOf } from './site-of.ts'
import { siteWorker } from './site-worker.ts'
import { makeWorkerId } from './worker-id.ts'

/** Where an app runs. The command line and the test kit put theirs here before anything starts. */
export interface Surroundings {
  settings: ResolvedSettings
  clock: Clock
  log: Logger
  sensor: Sensor
  /** Directory of the app's package. */
  home: string
  /** Freeze what tables give out: in development and tests. */
  freeze: boolean
  /** Opens the connections that are no worker's, instead of the broker that the settings name. */
  openTransport: (() => Transport) | undefined
}

/** How one worker is launched. */
export interface Launch {
  readonly workerId: string
  /** Instead of those that the settings name. */
  readonly drivers?: { readonly transport: Transport; readonly store: StoreDriver }
}

/** A client, and the transport under it. */
interface OpenClient {
  readonly client: Client
  readonly transport: Transport
}

/** The running side of an app: its workers, its client, and who is at work. */
export class AppRuntime {
  readonly scope: ScopeStorage = new AsyncLocalStorage<WorkScope>()
  readonly surroundings: Surroundings
  readonly site: Site
  readonly streams: StreamsDeps
  readonly tables: TablesDeps
  readonly #definitions: Definitions
  readonly #argument: AppSettings
  readonly listeners: AppListeners = new AppListeners()
  readonly #running: RunningWorker[] = []
  #client: Promise<OpenClient> | undefined
  #topicsMade: Promise<void> | undefined
  #memoryLog: Promise<MemoryLog> | undefined

  constructor(
    definitions: Definitions,
    {
      argument,
      settings,
      home,
      clock = systemClock(),
      log = plainLogger(),
      sensor = silentSensor,
    }: AppEnvironment & Pick<Surroundings, 'settings' | 'home'> & { readonly argument: AppSettings },
  ) {
    this.#definitions = definitions
    this.#argument = argument
    this.surroundings = { settings, home, clock, log, sensor, freeze: settings.freeze, openTransport: undefined }
    const appId = settings.id
    this.streams = {
      appId,
      scope: this.scope,
      askTimeoutMs: () => this.surroundings.settings.agent.askTimeoutMs,
      replies: new ReplyInboxes(),
      context: () => this.context(),
      runningWorker: () => this.#running[0]?.worker.context,
    }
    this.tables = { appId, scope: this.scope, workers: () => this.#running.map(({ worker }) => worker.context) }
    this.site = siteOf(definitions, this, () => this.#running.map(({ site }) => site))
  }

  /** Takes options of the command line. Throws as `createApp` does. */
  configure(options: Readonly<Record<string, string>>): void {
    this.surroundings.settings = resolveSettings({ options, env: process.env, argument: this.#argument })
  }

  /** The context of a call made here: the scope's, else the first running worker's, else a client of its own. */
  async context(): Promise<ClientContext> {
    return this.scope.getStore()?.client ?? this.#running[0]?.worker.context ?? (await this.sender())
  }

  /** The client, once the topics that the app declares are there: it may send before any worker has run. */
  async sender(): Promise<Client> {
    const client = await this.client()
    this.#topicsMade ??= createDeclaredTopics(await this.admin(), this.#definitions, this.surroundings.settings)
    try {
      await this.#topicsMade
    } catch (error) {
      this.#topicsMade = undefined
      throw error
    }
    return client
  }

  /** A connection that joins no group, shared by all calls outside a worker. Closed by `closeClient`. */
  async client(): Promise<Client> {
    this.#client ??= this.#openClient()
    try {
      return (await this.#client).client
    } catch (error) {
      this.#client = undefined
      throw error
    }
  }

  /** Broker administration over the client's connection. */
  async admin(): Promise<Admin> {
    return (await this.transport()).admin()
  }

  /** The client's connection. */
  async transport(): Promise<Transport> {
    await this.client()
    const opened = await this.#client
    if (opened === undefined) throw new MillraceError('CLOSED', 'The client was closed while it was opened.')
    return opened.transport
  }

  /** Where the app keeps what is not on a broker elsewhere. */
  directories(): ReturnType<typeof directoriesOf> {
    return directoriesOf(this.#choice())
  }

  /** The local store, open: nobody else has it until it is closed. */
  store(): Promise<StoreDriver> {
    return openStore(this.#choice())
  }

  /** Dead letters of the app, over the client's connection unless another is given. */
  deadLetters(transport: () => Promise<Transport> = () => this.transport()): DeadLetters {
    return appDeadLetters({ definitions: this.#definitions, surroundings: this.surroundings, transport })
  }

  async closeClient(): Promise<void> {
    const opening = this.#client
    this.#client = undefined
    this.#topicsMade = undefined
    if (opening === undefined) return
    const { client, transport } = await opening
    await this.streams.replies.close(client)
    await client.close()
    await transport.close()
  }

  /** The workers of this process, in the order started. */
  get running(): readonly RunningWorker[] {
    return this.#running
  }

  /** Makes a worker; the caller starts it. It counts as running until it has finished. */
  async launch({ workerId, drivers }: Launch): Promise<RunningWorker> {
    this.#definitions.close()
    const { settings, clock, log, sensor, freeze } = this.surroundings
    const scheduler = schedulerPart({ appId: settings.id, scope: this.scope }, [...this.#definitions.jobs.values()])
    const agents = agentsPart(this.streams, [...this.#definitions.agents.values()], {
      errorPolicy: errorPolicyOf(settings),
      concurrency: settings.agent.concurrency,
    })
    const transport = drivers?.transport ?? (await openTransport(this.#choice(), { clock, log }))
    const store = drivers?.store ?? (await openStore(this.#choice()))
    const webDriver = settings.web.enabled && drivers === undefined ? await openWebDriver(settings) : undefined
    const site = siteWorker(() => worker, { agents, scheduler, web: () => web, startedAt: new Date(clock.now()) })
    const web =
      webDriver === undefined
        ? undefined
        : webPart(
            { site: this.site, driver: webDriver, worker: () => site, log },
            { ...settings.web, graceMs: settings.shutdownTimeoutMs / 3 },
          )
    const worker = createWorker({
      appId: settings.id,
      workerId,
      transport,
      store,
      clock,
      log,
      sensor,
      freeze,
      settings: workerSettings(settings),
      webAddress: () => web?.address(),
      parts: [
        definitionsPart(this.#definitions),
        globalTablesPart([...this.#definitions.globalTables.values()], { freeze }),
        agents,
        scheduler,
        ...(web === undefined ? [] : [web]),
      ],
    })
    const running = { worker, scheduler, site, web }
    this.#running.push(running)
    this.#forward(running)
    return running
  }

  #forward(running: RunningWorker): void {
    const { worker } = running
    worker.on('partitionsAssigned', (partitions) => this.listeners.tell('partitionsAssigned', partitions))
    worker.on('partitionsLost', (partitions) => this.listeners.tell('partitionsLost', partitions))
    worker.on('rebalanceComplete', (change) => this.listeners.tell('rebalanceComplete', change))
    const gone = (): void => this.forget(running)
    worker.finished.then(gone, gone)
  }

  /** The worker does not count as running any more: it has finished, or a test has killed it. */
  forget(running: RunningWorker): void {
    const at = this.#running.indexOf(running)
    if (at >= 0) this.#running.splice(at, 1)
  }

  async #openClient(): Promise<OpenClient> {
    const { settings, clock, log, openTransport: open } = this.surroundings
    const transport = open?.() ?? (await openTransport(this.#choice(), { clock, log }))
    try {
      await transport.connect({ timeoutMs: settings.connectTimeoutMs })
    } catch (error) {
      await transport.close()
      throw error
    }
    return {
      client: createClient({
        appId: settings.id,
        clientId: makeWorkerId(),
        transport,
        clock,
        log,
        maxRecordBytes: settings.maxRecordBytes,
      }),
      transport,
    }
  }

  #choice(): DriverChoice {
    const { settings, home } = this.surroundings
    return {
      settings,
      home,
      memoryLog: () =>
        (this.#memoryLog ??= import('@millrace/transport-embedded').then(({ createMemoryLog }) => createMemoryLog())),
    }
  }
}

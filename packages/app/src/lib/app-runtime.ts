import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import {
  systemClock,
  type ClientContext,
  type Clock,
  type Logger,
  type ResolvedSettings,
  type ScopeStorage,
  type Sensor,
  type StoreDriver,
  type Transport,
  type WorkScope,
  type WorkerContext,
} from '@millrace/core'
import { agentsPart } from '@millrace/streams'
import { globalTablesPart } from '@millrace/tables'
import type { MemoryLog } from '@millrace/transport-embedded'
import { createClient, createWorker, type Client, type Worker } from '@millrace/worker'
import type { AppEvents } from './app-events.ts'
import type { Definitions } from './definitions.ts'
import { openStore, openTransport, type DriverChoice } from './drivers.ts'
import { plainLogger } from './plain-logger.ts'
import { silentSensor } from './silent-sensor.ts'
import { definitionsPart } from './definitions-part.ts'
import { makeWorkerId } from './worker-id.ts'
import { workerSettings } from './worker-settings.ts'

/** Where an app runs: its clock, logger and drivers. The command line and the test kit put theirs here before anything starts. */
export interface Surroundings {
  settings: ResolvedSettings
  clock: Clock
  log: Logger
  sensor: Sensor
  home: string
  /** Freeze what tables give out: in development and tests. */
  freeze: boolean
}

/** Drivers for one worker instead of those that the settings name. */
export interface WorkerDrivers {
  readonly transport: Transport
  readonly store: StoreDriver
}

/** The running side of an app: its workers, its client, and who is at work. */
export class AppRuntime {
  readonly scope: ScopeStorage = new AsyncLocalStorage<WorkScope>()
  readonly events: EventEmitter<AppEvents> = new EventEmitter()
  readonly surroundings: Surroundings
  readonly #definitions: Definitions
  readonly #workers: Worker[] = []
  #client: Promise<{ client: Client; transport: Transport }> | undefined
  #memoryLog: Promise<MemoryLog> | undefined

  constructor(definitions: Definitions, surroundings: Partial<Surroundings> & Pick<Surroundings, 'settings' | 'home'>) {
    this.#definitions = definitions
    this.surroundings = {
      clock: systemClock(),
      log: plainLogger(),
      sensor: silentSensor,
      freeze: process.env['NODE_ENV'] !== 'production',
      ...surroundings,
    }
  }

  get workers(): readonly WorkerContext[] {
    return this.#workers.map((worker) => worker.context)
  }

  runningWorker(): WorkerContext | undefined {
    return this.#workers[0]?.context
  }

  /** The context of a call made here: the scope's, else the first running worker's, else a client of its own. */
  async context(): Promise<ClientContext> {
    return this.scope.getStore()?.client ?? this.runningWorker() ?? (await this.client())
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

  async closeClient(): Promise<void> {
    const opened = this.#client
    this.#client = undefined
    if (opened === undefined) return
    const { client, transport } = await opened
    await client.close()
    await transport.close()
  }

  /** Makes a worker; the caller starts it. It counts as running until it has finished. */
  async launch(drivers?: WorkerDrivers): Promise<Worker> {
    this.#definitions.close()
    const { settings, clock, log, sensor, freeze } = this.surroundings
    const transport = drivers?.transport ?? (await openTransport(this.#choice(), { clock, log }))
    const store = drivers?.store ?? (await openStore(this.#choice()))
    const worker = createWorker({
      appId: settings.id,
      workerId: makeWorkerId(),
      transport,
      store,
      clock,
      log,
      sensor,
      freeze,
      settings: workerSettings(settings),
      parts: [
        definitionsPart(this.#definitions),
        globalTablesPart([...this.#definitions.globalTables.values()]),
        agentsPart([...this.#definitions.agents.values()], { topics: [...this.#definitions.topics.values()], ...agentDefaults(settings) }),
      ],
    })
    this.#workers.push(worker)
    this.#forward(worker)
    return worker
  }

  #forward(worker: Worker): void {
    worker.on('partitionsAssigned', (partitions) => this.events.emit('partitionsAssigned', partitions))
    worker.on('partitionsLost', (partitions) => this.events.emit('partitionsLost', partitions))
    worker.on('rebalanceComplete', (change) => this.events.emit('rebalanceComplete', change))
    const gone = (): void => {
      const at = this.#workers.indexOf(worker)
      if (at >= 0) this.#workers.splice(at, 1)
    }
    worker.finished.then(gone, gone)
  }

  async #openClient(): Promise<{ client: Client; transport: Transport }> {
    const { settings, clock, log } = this.surroundings
    const transport = await openTransport(this.#choice(), { clock, log })
    try {
      await transport.connect({ timeoutMs: settings.connectTimeoutMs })
    } catch (error) {
      await transport.close()
      throw error
    }
    return { client: createClient({ appId: settings.id, transport, clock, log }), transport }
  }

  #choice(): DriverChoice {
    return {
      settings: this.surroundings.settings,
      home: this.surroundings.home,
      memoryLog: () => (this.#memoryLog ??= import('@millrace/transport-embedded').then(({ createMemoryLog }) => createMemoryLog())),
    }
  }
}

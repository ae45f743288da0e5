import {
  packageDirectory,
  type AppDescription,
  type CommandLineApp,
  type CommandLineClient,
  type CommandLineRuntime,
  type JobDescription,
  type OtherStore,
  type RunningPlace,
  type WorkerDescription,
} from '@millrace/core'
import { describeJobPlan } from '@millrace/scheduler'
import type { AppRuntime } from './app-runtime.ts'
import type { Lifecycle } from './lifecycle.ts'

/** What `millrace -A` sees of an app. */
export class AppCommandLine implements CommandLineApp {
  readonly version = 1
  readonly id: string
  readonly #runtime: AppRuntime
  readonly #lifecycle: Lifecycle

  constructor(runtime: AppRuntime, lifecycle: Lifecycle) {
    this.id = runtime.surroundings.settings.id
    this.#runtime = runtime
    this.#lifecycle = lifecycle
  }

  describe(): AppDescription {
    return this.#runtime.describe()
  }

  jobs(): readonly JobDescription[] {
    const nowMs = this.#runtime.surroundings.clock.now()
    return [...this.#runtime.definitions.jobs.values()].map((job) => describeJobPlan(job, nowMs))
  }

  place(): RunningPlace {
    return this.#runtime.drivers.place()
  }

  otherStores(): Promise<readonly OtherStore[]> {
    return this.#runtime.drivers.otherStores()
  }

  async removeOtherStore({ directory }: OtherStore): Promise<void> {
    const { removeOtherFormat } = await import('@millrace/store-lmdb')
    await removeOtherFormat(directory)
  }

  configure(options: Readonly<Record<string, string>>, { log, appFile }: CommandLineRuntime): void {
    const { surroundings } = this.#runtime
    this.#runtime.configure(options)
    surroundings.log = log
    if (appFile !== undefined) surroundings.home = packageDirectory(appFile)
  }

  start(): Promise<void> {
    return this.#lifecycle.start()
  }

  stop(options: { readonly hard?: boolean } = {}): Promise<void> {
    return this.#lifecycle.stop(options)
  }

  finished(): Promise<void> {
    return this.#lifecycle.finished()
  }

  worker(): WorkerDescription | undefined {
    const { workerId: id, running } = this.#lifecycle
    if (id === undefined) return undefined
    return { id, tasks: running?.worker.assignment().tasks.length ?? 0, url: running?.web?.url() }
  }

  async client(): Promise<CommandLineClient> {
    const { client } = this.#runtime
    await client.connect()
    return client
  }
}

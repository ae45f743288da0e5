import { packageDirectory, type CommandLineApp } from '@millrace/core'
import { describeJobPlan } from '@millrace/scheduler'
import type { AppRuntime } from './app-runtime.ts'
import type { Lifecycle } from './lifecycle.ts'

/** What `millrace -A` sees of an app. */
export function appCommandLine(runtime: AppRuntime, lifecycle: Lifecycle): CommandLineApp {
  const { client, definitions, drivers, surroundings } = runtime
  return {
    version: 1,
    id: surroundings.settings.id,
    describe: () => runtime.describe(),
    jobs: () => [...definitions.jobs.values()].map((job) => describeJobPlan(job, surroundings.clock.now())),
    place: () => drivers.place(),
    otherStores: () => drivers.otherStores(),
    removeOtherStore: (store) => drivers.removeOtherStore(store),
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

import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type AppSettings,
  type Logger,
  MillraceError,
  type ResolvedSettings,
  resolveSettings,
  silentSensor,
  systemClock,
} from '@millrace/core'
import type { StoreDriver, Transport } from '@millrace/core/driver'
import type { WebDriver } from '@millrace/core/http'
import { dashboard } from '@millrace/dashboard'
import { agentsPart, createAgent, createDeadLetters, createTopic, ReplyInboxes, type Topic } from '@millrace/streams'
import { createTable, type Table } from '@millrace/tables'
import { createSite, siteWorker, webPart, type Site, type SiteApp, type SiteWorker } from '@millrace/web'
import {
  type ContextStorage,
  createWorker,
  type ProcessingContext,
  type Topology,
  type Worker,
  workerSettings,
} from '@millrace/worker'

/** What an app of this kind stands on. */
export interface Drivers {
  readonly transport: Transport
  readonly store: StoreDriver
  readonly web: WebDriver
  readonly log: Logger
}

/** What a worker without a scheduler says of its jobs. */
const NO_JOBS: Pick<SiteWorker, 'jobs' | 'trigger' | 'pause' | 'resume' | 'pauseAgent' | 'resumeAgent'> = {
  jobs: () => [],
  trigger: (job) => Promise.reject(noJob(job)),
  pause: (job) => Promise.reject(noJob(job)),
  resume: (job) => Promise.reject(noJob(job)),
  pauseAgent: (agent) => Promise.reject(noPauses(agent)),
  resumeAgent: (agent) => Promise.reject(noPauses(agent)),
}

/** The scheduler's part keeps them. */
function noPauses(agent: string): Error {
  return new MillraceError('AGENT_MISSING', `This app has no scheduler, so agent "${agent}" cannot be paused.`)
}

function noJob(job: string): Error {
  return new MillraceError('JOB_MISSING', `This app has no jobs, so none is called "${job}".`)
}

/** An app that counts the visits of pages, with what a program wants of it. */
export interface VisitsApp {
  readonly worker: Worker
  readonly visits: Topic<string, string>
  readonly counts: Table<string, number, number>
  readonly site: Site
  /** Where the site is; `undefined` while it does not listen. */
  readonly url: () => string | undefined
}

/** What `createApp` of `@millrace/app` does for its users, done by hand with drivers of one's own. Nothing runs yet. */
export function composeVisits({ transport, store, web: driver, log }: Drivers, web: AppSettings['web']): VisitsApp {
  const settings: ResolvedSettings = resolveSettings({ argument: { id: 'visits', web } })
  const clock = systemClock()
  const contexts: ContextStorage = new AsyncLocalStorage<ProcessingContext>()
  const appId = settings.id

  const streams = {
    appId,
    contexts,
    askTimeoutMs: () => settings.agent.askTimeoutMs,
    replies: new ReplyInboxes(),
    context: async () => contexts.getStore()?.client ?? worker.context,
    runningWorker: () => worker.context,
  }
  const visits = createTopic(streams, 'visits', { key: 'string', value: 'string', partitions: 4 })
  const counts = createTable({ appId, contexts, workers: () => [worker.context] }, 'visit_counts', {
    key: 'string',
    value: 'number',
    default: () => 0,
  })
  const count = createAgent(streams, 'count-visits', visits, async (stream) => {
    for await (const [page] of stream.items()) counts.update(page, (n) => n + 1)
  })
  const agents = agentsPart(streams, [count], { topics: [visits] })

  const deadLetters = createDeadLetters({ appId, agents: [count], transport, admin: transport.admin(), clock })
  const siteApp: SiteApp = {
    contexts,
    surroundings: { clock, log, settings },
    definitions: {
      tables: new Map([[counts.name, counts]]),
      globalTables: new Map(),
      agents: new Map([[count.name, count]]),
    },
    deadLetters,
    describe: () => ({
      id: appId,
      version: 'by hand',
      broker: transport.capabilities.name,
      store: store.capabilities.name,
      processingGuarantee: settings.processingGuarantee,
      agents: [{ name: count.name, topics: [visits.name], concurrency: 1, help: '' }],
      tables: [],
      topics: [],
      commands: [],
    }),
    workers: () => [shown],
  }
  const site = createSite(siteApp, dashboard)
  site.page(
    '/visits/:page/',
    site.tableRoute(counts, { param: 'page' }, (c, page) => c.json({ [page]: counts.get(page) })),
  )

  const shown: SiteWorker = siteWorker({
    worker: () => worker,
    agents,
    jobs: NO_JOBS,
    startedAt: new Date(clock.now()),
    address: () => served.address(),
  })
  const served = webPart({ site, driver, worker: () => shown, log }, { ...settings.web, graceMs: 5_000 })

  const tables = {
    name: 'tables',
    declare: (_worker: unknown, topology: Topology) => topology.state(counts),
    start: async () => {},
    ready: () => {},
    stop: async () => {},
  }
  const worker = createWorker({
    appId,
    workerId: `${process.pid}`,
    transport,
    store,
    clock,
    log,
    sensor: silentSensor,
    freeze: true,
    settings: workerSettings(settings),
    webAddress: () => served.address(),
    parts: [tables, agents, served],
  })
  return { worker, visits, counts, site, url: () => served.url() }
}

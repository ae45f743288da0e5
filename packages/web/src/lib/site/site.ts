import type { MetricsWriter } from '@millrace/core'
import { Access } from '../access/access.ts'
import { SIGN_IN, signInPage } from '../access/sign-in.ts'
import { agentPages } from '../built-in/agent-pages.ts'
import { healthPages } from '../built-in/health.ts'
import { jobPages } from '../built-in/job-pages.ts'
import { pausePages } from '../built-in/pause-pages.ts'
import { routerPages } from '../built-in/router-pages.ts'
import type { BuiltInPages, SiteAddition, SiteTools } from '../built-in/site-tools.ts'
import { StallWatch } from '../built-in/stall-watch.ts'
import { statsOf } from '../built-in/stats.ts'
import { indexAnswer, metricsSource, statsPages } from '../built-in/stats-pages.ts'
import { tablePages } from '../built-in/table-pages.ts'
import { watchPages } from '../built-in/watch-pages.ts'
import { Prometheus } from '../metrics/prometheus.ts'
import { type MetricsSource, writeWorkerMetrics } from '../metrics/worker-metrics.ts'
import { verbsOf } from '../pages/view.ts'
import { Processes } from '../processes/processes.ts'
import { Certificates, warnOfCertificate } from '../routing/certificates.ts'
import { KeyRoute } from '../routing/key-route.ts'
import { LeaderRoute } from '../routing/leader-route.ts'
import { ForwardedRequests } from '../routing/forwarded-requests.ts'
import { PeerAddresses } from '../routing/peer-addresses.ts'
import { WorkerProxy } from '../routing/worker-proxy.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'
import { SiteWorkers } from '../site-workers.ts'
import { Watches } from '../watch/watches.ts'
import { declarePages, type PageDeclarations } from './declare-pages.ts'
import { Entrance } from './entrance.ts'
import { PageRegistry } from './page-registry.ts'
import { RequestHandler } from './request-handler.ts'

/** How long a stop waits for forwarded requests. */
const FORWARD_GRACE_MS = 1_000

/** Creates an addition for a site: `dashboard` of `@millrace/dashboard`. */
export type AddToSite = (tools: SiteTools) => SiteAddition

/**
 * The pages of an app over web-standard requests: routing, verbs, errors, limits, and the built-in pages. It has no
 * server: `webPart` gives it one, and `fetch` mounts it in any other. Created by `createSite`.
 */
export class Site implements PageDeclarations {
  readonly page: PageDeclarations['page']
  readonly tableRoute: PageDeclarations['tableRoute']
  /** The certificates shown to clients and to other workers. */
  readonly certificates: Certificates
  readonly #site: SiteApp
  readonly #workers: SiteWorkers
  readonly #pages = new PageRegistry()
  readonly #handler: RequestHandler
  readonly #addresses: PeerAddresses
  readonly #proxy: WorkerProxy
  readonly #addition: SiteAddition | undefined
  readonly #watches: Watches
  /** For requests that come from another server. */
  readonly #entrance: Entrance
  readonly #processes: Processes
  readonly #source: () => MetricsSource | undefined

  constructor(site: SiteApp, addition?: AddToSite) {
    const metrics = new Prometheus()
    const workers = new SiteWorkers(site)
    const certificates = new Certificates(() => site.surroundings.settings.web.tls)
    this.certificates = certificates
    const access = new Access(site)
    this.#site = site
    this.#entrance = this.entrance()
    this.#workers = workers
    this.#processes = new Processes(site)
    const forwarded = new ForwardedRequests(site, access)
    const addresses = new PeerAddresses({ site, workers })
    this.#addresses = addresses
    this.#handler = new RequestHandler({ site, pages: this.#pages, metrics, workers, access, forwarded })
    this.#proxy = new WorkerProxy({ site, workers, forwarded, metrics, addresses, certificates })
    const route = new KeyRoute(workers, this.#proxy, metrics)
    const { page, tableRoute } = declarePages(this.#pages, route)
    this.page = page
    this.tableRoute = tableRoute
    const tools: SiteTools = {
      site,
      workers,
      access,
      processes: this.#processes,
      peers: this.#proxy,
      stats: (worker) => workers.within(worker, () => statsOf(site, worker)),
      index: (c) => indexAnswer(c, tools, this.#pages.list()),
    }
    this.#addition = addition?.(tools)
    const { surroundings } = site
    this.#watches = new Watches({ surroundings, most: () => surroundings.settings.web.maxWatches })
    const builtIn = {
      ...tools,
      watches: this.#watches,
      stats: (worker: SiteWorker) => this.#addition?.stats(worker, tools.stats(worker)) ?? tools.stats(worker),
      route,
      leader: new LeaderRoute(workers, this.#proxy),
      metrics,
      processes: this.#processes,
      stalls: new StallWatch(),
      standstills: new StallWatch(),
    }
    this.#source = () => metricsSource(builtIn)
    for (const pages of [
      statsPages,
      healthPages,
      tablePages,
      watchPages,
      routerPages,
      agentPages,
      pausePages,
      jobPages,
    ])
      this.#add(pages(builtIn))
    if (this.#addition !== undefined) this.#add(this.#addition.pages)
    const help =
      'A form for the token (`web.token`), and its target, which does not need that header: a session of twelve hours. An address that has sent ten wrong tokens in a minute, here or as bearer tokens, gets 429 for each.'
    this.#add({ [SIGN_IN]: { help, page: signInPage(site, access), open: true, always: true } })
  }

  #add(pages: BuiltInPages): void {
    for (const [path, { help, page, open = false, always = false, everywhere = false }] of Object.entries(pages)) {
      const isOpen = typeof open === 'boolean' ? () => open : open
      this.#pages.add({ path, help, verbs: verbsOf(path, page), builtIn: true, isOpen, always, everywhere })
    }
  }

  /**
   * The whole site as a function, for mounting into another server. The first worker of this process answers. `peer` is
   * the remote address of the connection: without it and without `web.token`, the built-in pages refuse everyone.
   */
  fetch(request: Request, peer?: string): Promise<Response> {
    return this.handle(request, this.#workers.all()[0], peer)
  }

  /** An entrance for requests, with limits of its own. */
  entrance(pages: 'all' | 'public' = 'all'): Entrance {
    const { surroundings } = this.#site
    // Settings may still change after the site is created: the command line is parsed later.
    return new Entrance({ ...surroundings, most: () => surroundings.settings.web.maxRequests, pages })
  }

  /** Answers for one worker. `peer` is the remote address of the connection. Never rejects. */
  handle(
    request: Request,
    worker: SiteWorker | undefined,
    peer?: string,
    entrance: Entrance = this.#entrance,
  ): Promise<Response> {
    return this.#handler.answer({ request, worker, peer, entrance })
  }

  /** Writes the worker's part of `/metrics`; nothing if no worker runs in this process. */
  writeMetrics(writer: MetricsWriter): void {
    const source = this.#source()
    if (source !== undefined) writeWorkerMetrics(writer, source)
  }

  /** Called when the site is about to be served: other processes of this machine may ask about this one. */
  open(): void {
    this.#processes.open()
  }

  /** Called once the worker's site is served, until `unwatch`. */
  watch(worker: SiteWorker): void {
    const address = worker.address()
    const reason = address === undefined ? undefined : this.#addresses.refusal(address)
    if (reason !== undefined)
      this.#site.surroundings.log.warn(
        { reason },
        'Workers with the settings of this one send nothing to its address: see web.advertise and web.peers.',
      )
    const fault = this.certificates.fault(this.#site.surroundings.clock.now(), address)
    if (fault !== undefined) warnOfCertificate(this.#site.surroundings.log, fault)
    this.#addition?.watch(worker)
  }

  /** No more statistics of the worker follow: ends pages that wait for them. */
  unwatch(worker: SiteWorker): void {
    this.#watches.end(worker)
    this.#addition?.unwatch(worker)
  }

  /** Closes connections to other workers; they are reopened on use. */
  async close(): Promise<void> {
    await this.#proxy.close(FORWARD_GRACE_MS)
  }
}

/**
 * Creates a site with its built-in pages; without an addition, `/` is an index of them.
 *
 * @example
 * const site = createSite(app, dashboard)
 * site.page('/hello/', (c) => c.text('hello'))
 * await site.fetch(new Request('http://site/hello/'))
 */
export function createSite(app: SiteApp, addition?: AddToSite): Site {
  return new Site(app, addition)
}

import type { SiteStats } from '../site-stats.ts'
import type { Access } from '../access/access.ts'
import type { PageContext, PageHandler } from '../pages/page-context.ts'
import type { ViewClass } from '../pages/view.ts'
import type { KeyRoute } from '../routing/key-route.ts'
import type { LeaderRoute } from '../routing/leader-route.ts'
import type { PeerRequest } from '../routing/worker-proxy.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'
import type { SiteWorkers } from '../site-workers.ts'
import type { Prometheus } from '../metrics/prometheus.ts'
import type { Processes } from '../processes/processes.ts'
import type { Watches } from '../watch/watches.ts'
import type { StallWatch } from './stall-watch.ts'

/** What the built-in pages and those of a `SiteAddition` work with. */
export interface SiteTools {
  readonly site: SiteApp
  readonly workers: SiteWorkers
  /** Decides who may see the pages and who may act. */
  readonly access: Access
  /** Asks the other processes that serve this site, if it has several. */
  readonly processes: Pick<Processes, 'own' | 'question'>
  /** Sends this worker's own requests to other workers of the app. */
  readonly peers: { ask(request: PeerRequest): Promise<Response> }
  /** Statistics of a worker in this process. */
  readonly stats: (worker: SiteWorker) => SiteStats
  /** The JSON that `/` answers. */
  readonly index: (c: PageContext) => Response
}

/** A package's addition to a site, such as the dashboard. */
export interface SiteAddition {
  /** The addition's pages. A page at `/` replaces the index, until the app defines its own. */
  readonly pages: BuiltInPages
  /** A worker's statistics with the addition's own figures, such as rates. */
  stats(worker: SiteWorker, stats: SiteStats): SiteStats
  /** Called once the worker's site is served. */
  watch(worker: SiteWorker): void
  /** Called when no more statistics of the worker follow; ends pages that wait for them. */
  unwatch(worker: SiteWorker): void
}

/** What only the built-in pages share. */
export interface BuiltInTools extends SiteTools {
  readonly route: KeyRoute
  readonly watches: Watches
  readonly leader: LeaderRoute
  readonly metrics: Prometheus
  readonly processes: Processes
  /** Finds stalled partitions, for readiness. */
  readonly stalls: StallWatch
  /** The same for liveness, which ignores stalls that a restart would not fix. */
  readonly standstills: StallWatch
}

/** A page of the site, as listed. */
export interface PageListing {
  readonly path: string
  readonly methods: readonly string[]
  readonly builtIn: boolean
  /** Whether anyone may see it. */
  readonly open: boolean
  /** Set for built-in pages: their purpose. */
  readonly help?: string | undefined
}

/** A page that every site has, or that an addition brings. */
export interface BuiltInPage {
  /** What it answers or does, in a sentence or two of Markdown, for `docs/reference/http.md` and for listings. */
  readonly help: string
  readonly page: PageHandler | ViewClass
  /** Whether anyone may see it, because it shows no data. Default false: `Access` decides. */
  readonly open?: boolean | (() => boolean)
  /**
   * Whether it answers regardless of the number of requests in flight (`web.maxRequests`), as pages about the state of
   * a busy worker must. Default false.
   */
  readonly always?: boolean
  /** Whether it is served on every port of the site, even if there is a separate `web.adminPort`. Default false. */
  readonly everywhere?: boolean
}

/** Built-in pages by their paths. */
export type BuiltInPages = Readonly<Record<string, BuiltInPage>>

/** A page that answers JSON. */
export function jsonPage(value: (c: PageContext) => unknown): PageHandler {
  return async (c) => c.json(await value(c))
}

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
import type { StallWatch } from './stall-watch.ts'

/** What built-in pages and those of a `SiteAddition` work with. */
export interface SiteTools {
  readonly site: SiteApp
  readonly workers: SiteWorkers
  /** Who may see the pages, and act. */
  readonly access: Access
  /** Other workers of the app, asked on this worker's own account. */
  readonly peers: { ask(request: PeerRequest): Promise<Response> }
  /** Statistics of a worker of this process. */
  readonly stats: (worker: SiteWorker) => SiteStats
  /** What `/` answers as JSON. */
  readonly index: (c: PageContext) => Response
}

/** What a package adds to a site, as the dashboard does. */
export interface SiteAddition {
  /** Its pages; one at `/` takes the place of the index, until the app puts its own there. */
  readonly pages: BuiltInPages
  /** The statistics of a worker with what the addition knows of it: rates, say. */
  stats(worker: SiteWorker, stats: SiteStats): SiteStats
  /** The worker's site is served from now on. */
  watch(worker: SiteWorker): void
  /** Nothing more will be known of the worker: pages that wait for it end. */
  unwatch(worker: SiteWorker): void
}

/** What the built-in pages share besides. */
export interface BuiltInTools extends SiteTools {
  readonly route: KeyRoute
  readonly leader: LeaderRoute
  readonly metrics: Prometheus
  /** Partitions that stand still, for readiness. */
  readonly stalls: StallWatch
  /** The same for liveness, which overlooks what a restart would not change. */
  readonly standstills: StallWatch
}

/** A page of the site, in lists. */
export interface PageListing {
  readonly path: string
  readonly methods: readonly string[]
  readonly builtIn: boolean
  /** Whether everybody may see it. */
  readonly open: boolean
  /** Of built-in pages, what they are for. */
  readonly help?: string | undefined
}

/** A page that every site has, or that an addition brings. */
export interface BuiltInPage {
  /** What it answers or does, in a sentence or two of Markdown: for `docs/reference/http.md` and for listings. */
  readonly help: string
  readonly page: PageHandler | ViewClass
  /** Whether everybody may see it: it shows nothing of the data. Default false: `Access` decides. */
  readonly open?: boolean | (() => boolean)
  /** Whether it answers however many requests are in flight (`web.maxRequests`): what tells how a busy worker is. Default false. */
  readonly always?: boolean
  /** Whether it is at every port of the site, not at `web.adminPort` alone where there is one. Default false. */
  readonly everywhere?: boolean
}

/** Built-in pages by their paths. */
export type BuiltInPages = Readonly<Record<string, BuiltInPage>>

/** A page that answers JSON. */
export function jsonPage(value: (c: PageContext) => unknown): PageHandler {
  return async (c) => c.json(await value(c))
}

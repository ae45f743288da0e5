import type { PageContext, PageHandler } from '../pages/page-context.ts'
import type { KeyRoute } from '../routing/key-route.ts'
import type { LeaderRoute } from '../routing/leader-route.ts'
import type { SiteDeps, SiteWorker } from '../site/site-deps.ts'
import type { Prometheus } from '../metrics/prometheus.ts'
import type { AppView } from '../dashboard/app-view.ts'
import type { Watches } from '../dashboard/watches.ts'
import type { StallWatch } from './stall-watch.ts'

/** What the built-in pages share. */
export interface BuiltInDeps {
  readonly site: SiteDeps
  readonly route: KeyRoute
  readonly leader: LeaderRoute
  readonly metrics: Prometheus
  readonly stalls: StallWatch
  readonly watches: Watches
  readonly view: AppView
  /** The worker that was asked; `undefined` in a process that runs none. */
  readonly workerIfAny: () => SiteWorker | undefined
  /** The same; throws a 503 when there is none. */
  readonly worker: () => SiteWorker
  readonly pages: () => readonly PageListing[]
}

/** A page of the site, in lists. */
export interface PageListing {
  readonly path: string
  readonly methods: readonly string[]
  readonly builtIn: boolean
}

/** Built-in pages by their paths. */
export type BuiltInPages = Readonly<Record<string, PageHandler>>

/** A page that answers JSON. */
export function jsonPage(value: (c: PageContext) => unknown): PageHandler {
  return async (c) => c.json(await value(c))
}

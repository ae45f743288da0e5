import type { PageContext, PageHandler } from '../pages/page-context.ts'
import type { ViewClass } from '../pages/view.ts'
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
  /** Of built-in pages, what they are for. */
  readonly help?: string | undefined
}

/** A page that every site has. */
export interface BuiltInPage {
  /** What it answers or does, in a sentence or two of Markdown: for `docs/reference/http.md` and for listings. */
  readonly help: string
  readonly page: PageHandler | ViewClass
}

/** Built-in pages by their paths. */
export type BuiltInPages = Readonly<Record<string, BuiltInPage>>

/** A page that answers JSON. */
export function jsonPage(value: (c: PageContext) => unknown): PageHandler {
  return async (c) => c.json(await value(c))
}

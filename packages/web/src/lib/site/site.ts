import { checkOptions, MillraceError, type ProcessingContext } from '@millrace/core'
import { figurePages, indexAnswer } from '../built-in/figure-pages.ts'
import { healthPages } from '../built-in/health.ts'
import { jobPages } from '../built-in/job-pages.ts'
import { routerPages } from '../built-in/router-pages.ts'
import type { BuiltInPages, SiteAddition, SiteTools } from '../built-in/site-tools.ts'
import { StallWatch } from '../built-in/stall-watch.ts'
import { statsOf } from '../built-in/stats.ts'
import { tablePages } from '../built-in/table-pages.ts'
import { unavailable } from '../errors/error-answer.ts'
import { PageError } from '../errors/page-error.ts'
import { Prometheus } from '../metrics/prometheus.ts'
import type { PageHandler } from '../pages/page-context.ts'
import { verbsOf, type PageSource } from '../pages/verbs.ts'
import type { ViewSource } from '../pages/view.ts'
import type { AnyParams, PathParams } from '../paths/path-params.ts'
import { Hops } from '../routing/hops.ts'
import { KeyRoute } from '../routing/key-route.ts'
import { LeaderRoute } from '../routing/leader-route.ts'
import type { KeyHandler, ParamsWith } from '../routing/table-route.ts'
import { PageBook } from './page-book.ts'
import { RequestDesk } from './request-desk.ts'
import type { RoutableTable, SiteDeps, SiteWorker } from './site-deps.ts'

/** What a stop gives to requests that were sent on to other workers. */
const FORWARD_GRACE_MS = 1_000

/** What a site is made from. */
export interface SiteOptions extends SiteDeps {
  /** Made with the site: `dashboard` of `@millrace/dashboard`; without it `/` is an index of the pages. */
  readonly addition?: (tools: SiteTools) => SiteAddition
}

/**
 * The pages of an app over web-standard requests: routing, verbs, errors, limits, the built-in pages. It has no server of
 * its own: `webPart` gives it one, and `fetch` puts it under any other. Made by `createSite`.
 */
export class Site {
  readonly #deps: SiteDeps
  readonly #pages = new PageBook()
  readonly #desk: RequestDesk
  readonly #hops: Hops
  readonly #route: KeyRoute
  readonly #addition: SiteAddition | undefined

  constructor(deps: SiteOptions) {
    this.#deps = deps
    const metrics = new Prometheus()
    const worker = (): SiteWorker => {
      const found = this.#workerAtWork()
      if (found === undefined) throw unavailable('No worker runs in this process.')
      return found
    }
    const inScope = <T>(as: SiteWorker | undefined, work: () => T): T => this.#inScope(as, work)
    this.#desk = new RequestDesk({ site: deps, pages: this.#pages, metrics, inScope })
    this.#hops = new Hops({ site: deps, metrics })
    this.#route = new KeyRoute({ site: deps, metrics, hops: this.#hops, worker, runAs: inScope })
    const tools: SiteTools = {
      site: deps,
      workerIfAny: () => this.#workerAtWork(),
      worker,
      stats: (of) => inScope(of, () => statsOf(deps, of)),
      index: (c) => indexAnswer(c, tools, this.#pages.list()),
    }
    this.#addition = deps.addition?.(tools)
    const builtIn = {
      ...tools,
      stats: (of: SiteWorker) => this.#addition?.stats(of, tools.stats(of)) ?? tools.stats(of),
      route: this.#route,
      leader: new LeaderRoute({ site: deps, hops: this.#hops, worker }),
      metrics,
      stalls: new StallWatch(),
    }
    for (const pages of [figurePages, healthPages, tablePages, routerPages, jobPages]) this.#add(pages(builtIn))
    if (this.#addition !== undefined) this.#add(this.#addition.pages)
  }

  #add(pages: BuiltInPages): void {
    for (const [path, { help, page }] of Object.entries(pages))
      this.#pages.add({ path, help, verbs: verbsOf(path, page), builtIn: true })
  }

  /**
   * Defines a page: a function, which answers GET and HEAD, or a `View`: its class, an object of it, or `{ view }` that
   * makes one when the page is first asked for. Parts of the path that start
   * with a colon are parameters; a slash at the end makes no difference; literal parts go before parameters. Only the
   * built-in page `/` can be replaced.
   *
   * @throws `DEFINITION_INVALID`, `NAME_TAKEN`
   * @example
   * site.page('/words/:word/', (c) => c.text(c.params.word))
   */
  page<const Path extends string>(
    path: Path,
    page: PageHandler<PathParams<Path>> | ViewSource<PathParams<Path>>,
  ): void {
    // Which parameters a path has is known to its table, and to the compiler here.
    const verbs = verbsOf(path, page as PageSource, (handler) => this.#pages.checkParam(path, handler))
    this.#pages.add({ path, verbs, builtIn: false })
  }

  /**
   * A page function for one key of a table: it runs on a worker that has the key's partition, wherever the request came
   * in. The key is read from the path or from the query as the table's text form, and encoded as the table encodes it.
   *
   * @example
   * site.page('/words/:word/', site.tableRoute(counts, { param: 'word' }, (c, word) => c.json({ [word]: counts.get(word) })))
   */
  tableRoute<K, const Name extends string>(
    table: RoutableTable<K>,
    place: { readonly param: Name },
    handler: KeyHandler<ParamsWith<Name>, K>,
  ): PageHandler<ParamsWith<Name>>
  tableRoute<K>(
    table: RoutableTable<K>,
    place: { readonly query: string },
    handler: KeyHandler<AnyParams, K>,
  ): PageHandler
  tableRoute<K>(
    table: RoutableTable<K>,
    place: { readonly param: string } | { readonly query: string },
    handler: KeyHandler<AnyParams, K>,
  ): PageHandler {
    checkOptions(`tableRoute of table "${table.name}"`, place, { param: true, query: true })
    if (!('param' in place || 'query' in place))
      throw new MillraceError(
        'DEFINITION_INVALID',
        `The tableRoute of table "${table.name}" does not say where the key is: give it { param: 'name' } or { query: 'name' }.`,
      )
    const route: PageHandler = (c) => {
      const text = 'param' in place ? c.params[place.param] : (c.query.get(place.query) ?? undefined)
      if (text === undefined)
        throw new PageError(
          400,
          `The key of table "${table.name}" is missing: ${'param' in place ? `:${place.param} in the path` : `?${place.query}= in the query`}.`,
        )
      return this.#route.serve({
        table,
        text,
        request: c.request,
        signal: c.signal,
        answer: () => handler(c, table.keyOf(text)),
      })
    }
    if ('param' in place) this.#pages.reads(route, place.param)
    return route
  }

  /** The whole site as a function, for mounting into another server. Answered by the first worker of this process. */
  fetch(request: Request): Promise<Response> {
    return this.handle(request, this.#deps.workers()[0])
  }

  /** Answers for one worker. `peer` is the address at the other end of the connection. Never rejects. */
  handle(request: Request, worker: SiteWorker | undefined, peer?: string): Promise<Response> {
    return this.#desk.answer({ request, worker, peer })
  }

  /** The worker's site is served from now on, until `unwatch`. */
  watch(worker: SiteWorker): void {
    this.#addition?.watch(worker)
  }

  /** Nothing more will be known of the worker: pages that wait for it end. */
  unwatch(worker: SiteWorker): void {
    this.#addition?.unwatch(worker)
  }

  /** Closes connections to other workers; they are opened again when they are needed. */
  async close(): Promise<void> {
    await Promise.all([this.#hops.close(FORWARD_GRACE_MS), this.#addition?.close()])
  }

  #inScope<T>(worker: SiteWorker | undefined, work: () => T): T {
    if (worker === undefined) return work()
    const scope: ProcessingContext = {
      client: worker.context,
      worker: worker.context,
      event: undefined,
      agent: undefined,
    }
    return this.#deps.scope.run(scope, work)
  }

  #workerAtWork(): SiteWorker | undefined {
    const context = this.#deps.scope.getStore()?.worker
    const workers = this.#deps.workers()
    return workers.find((worker) => worker.context === context) ?? workers[0]
  }
}

/**
 * A site with its built-in pages.
 *
 * @example
 * const site = createSite(deps)
 * site.page('/hello/', (c) => c.text('hello'))
 * await site.fetch(new Request('http://site/hello/'))
 */
export function createSite(deps: SiteOptions): Site {
  return new Site(deps)
}

import { checkOptions, MillraceError, type WorkScope } from '@millrace/core'
import type { BuiltInDeps } from '../built-in/built-in-deps.ts'
import { StallWatch } from '../built-in/stall-watch.ts'
import { AppView } from '../dashboard/app-view.ts'
import { Peers } from '../dashboard/peers.ts'
import { Watches } from '../dashboard/watches.ts'
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
import { builtInPages } from './built-in-pages.ts'
import { PageBook } from './page-book.ts'
import { RequestDesk } from './request-desk.ts'
import type { RoutableTable, SiteDeps, SiteWorker } from './site-deps.ts'

/** What a stop gives to requests that were sent on to other workers. */
const FORWARD_GRACE_MS = 1_000

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
  readonly #watches: Watches
  readonly #peers: Peers

  constructor(deps: SiteDeps) {
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
    this.#watches = new Watches({ site: deps, inScope })
    this.#peers = new Peers(() => deps.clock)
    const builtIn: BuiltInDeps = {
      site: deps,
      route: this.#route,
      leader: new LeaderRoute({ site: deps, hops: this.#hops, worker }),
      metrics,
      stalls: new StallWatch(),
      watches: this.#watches,
      view: new AppView({
        clock: () => deps.clock,
        watches: this.#watches,
        peers: this.#peers,
        workers: () => deps.workers(),
      }),
      workerIfAny: () => this.#workerAtWork(),
      worker,
      pages: () => this.#pages.list(),
    }
    for (const page of builtInPages(builtIn)) this.#pages.add(page)
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

  /** Keeps the last five minutes of the worker's figures, for its pages, until `unwatch`. */
  watch(worker: SiteWorker): void {
    this.#watches.over(worker)
  }

  /** Nothing more is to be told of the worker: pages that wait for it end. */
  unwatch(worker: SiteWorker): void {
    this.#watches.end(worker)
  }

  /** Closes connections to other workers; they are opened again when they are needed. */
  async close(): Promise<void> {
    await Promise.all([this.#hops.close(FORWARD_GRACE_MS), this.#peers.close()])
  }

  #inScope<T>(worker: SiteWorker | undefined, work: () => T): T {
    if (worker === undefined) return work()
    const scope: WorkScope = { client: worker.context, worker: worker.context, event: undefined, agent: undefined }
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
export function createSite(deps: SiteDeps): Site {
  return new Site(deps)
}

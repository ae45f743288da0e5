import { MillraceError, toError, type WorkScope } from '@millrace/core'
import { limitBody } from '../body/limit-body.ts'
import type { BuiltInDeps } from '../built-in/built-in-deps.ts'
import { figurePages } from '../built-in/figure-pages.ts'
import { healthPages } from '../built-in/health.ts'
import { routerPages } from '../built-in/router-pages.ts'
import { StallWatch } from '../built-in/stall-watch.ts'
import { tablePages } from '../built-in/table-pages.ts'
import { actionPages, deadLetterPages } from '../dashboard/action-pages.ts'
import { AppView } from '../dashboard/app-view.ts'
import { Assets } from '../dashboard/assets.ts'
import { dashboardPages } from '../dashboard/dashboard-pages.ts'
import { livePages } from '../dashboard/live-pages.ts'
import { Peers } from '../dashboard/peers.ts'
import { Watches } from '../dashboard/watches.ts'
import { errorAnswer, unavailable } from '../errors/error-answer.ts'
import { PageError } from '../errors/page-error.ts'
import { Prometheus } from '../metrics/prometheus.ts'
import type { PageHandler } from '../pages/page-context.ts'
import { PageRequest } from '../pages/page-request.ts'
import { allowed, verbsOf, type Verbs } from '../pages/verbs.ts'
import type { ViewClass } from '../pages/view.ts'
import type { AnyParams, PathParams } from '../paths/path-params.ts'
import { parsePattern } from '../paths/path-pattern.ts'
import { PathTable } from '../paths/path-table.ts'
import { readTarget, type Target } from '../paths/read-target.ts'
import { KeyRoute } from '../routing/key-route.ts'
import type { KeyHandler, ParamsWith } from '../routing/table-route.ts'
import { corsHeaders, preflightHeaders } from './cors.ts'
import { dropBody, runPage } from './page-run.ts'
import { SharedSignal } from './shared-signal.ts'
import type { RoutableTable, SiteDeps, SiteWorker } from './site-deps.ts'
import { withHeaders } from './with-headers.ts'

/** A client that is sending a body is waited for so long. */
const BODY_IDLE_MS = 30_000
/** What a stop gives to requests that were sent on to other workers. */
const FORWARD_GRACE_MS = 1_000

interface Page {
  readonly path: string
  readonly verbs: Verbs
  readonly builtIn: boolean
}

/**
 * The pages of an app over web-standard requests: routing, verbs, errors, limits, the built-in pages. It has no server of
 * its own: `webPart` gives it one, and `fetch` puts it under any other. Made by `createSite`.
 */
export class Site {
  readonly #deps: SiteDeps
  readonly #table: PathTable<Page> = new PathTable()
  readonly #pages: Page[] = []
  readonly #metrics = new Prometheus()
  readonly #route: KeyRoute
  readonly #watches: Watches
  readonly #peers: Peers
  /** Parameters that handlers of table routes read: checked where such a handler becomes a page. */
  readonly #paramOf = new WeakMap<object, string>()
  readonly #stopSignals = new WeakMap<AbortSignal, SharedSignal>()

  constructor(deps: SiteDeps) {
    this.#deps = deps
    const worker = (): SiteWorker => {
      const found = this.#workerAtWork()
      if (found === undefined) throw unavailable('No worker runs in this process.')
      return found
    }
    this.#route = new KeyRoute({
      site: deps,
      metrics: this.#metrics,
      worker,
      runAs: (as, work) => this.#inScope(as, work),
    })
    this.#watches = new Watches({ site: deps, inScope: (as, work) => this.#inScope(as, work) })
    this.#peers = new Peers(() => deps.clock)
    const builtIn: BuiltInDeps = {
      site: deps,
      route: this.#route,
      metrics: this.#metrics,
      stalls: new StallWatch(),
      watches: this.#watches,
      view: new AppView({ watches: this.#watches, peers: this.#peers, workers: () => deps.workers() }),
      workerIfAny: () => this.#workerAtWork(),
      worker,
      pages: () =>
        this.#pages.map(({ path, verbs, builtIn }) => ({ path, methods: allowed(verbs).split(', '), builtIn })),
    }
    const assets = new Assets()
    for (const pages of [
      dashboardPages(builtIn, assets),
      healthPages(builtIn),
      figurePages(builtIn),
      livePages(builtIn),
      tablePages(builtIn),
      routerPages(builtIn),
      deadLetterPages(builtIn),
      actionPages(builtIn),
    ]) {
      for (const [path, page] of Object.entries(pages)) this.#add({ path, verbs: verbsOf(path, page), builtIn: true })
    }
  }

  /**
   * Defines a page: a function, which answers GET and HEAD, or a class that extends `View`. Parts of the path that start
   * with a colon are parameters; a slash at the end makes no difference; literal parts go before parameters. Only the
   * built-in page `/` can be replaced.
   *
   * @throws `DEFINITION_INVALID`, `NAME_TAKEN`
   * @example
   * site.page('/words/:word/', (c) => c.text(c.params.word))
   */
  page<const Path extends string>(path: Path, page: PageHandler<PathParams<Path>> | ViewClass<PathParams<Path>>): void {
    // Which parameters a path has is known to its table, and to the compiler here.
    const verbs = verbsOf(path, page as PageHandler | ViewClass)
    for (const handler of verbs.values()) this.#checkParam(path, handler)
    this.#add({ path, verbs, builtIn: false })
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
    if ('param' in place) this.#paramOf.set(route, place.param)
    return route
  }

  /** The whole site as a function, for mounting into another server. Answered by the first worker of this process. */
  fetch(request: Request): Promise<Response> {
    return this.handle(request, this.#deps.workers()[0])
  }

  /** Answers for one worker. `peer` is the address at the other end of the connection. Never rejects. */
  async handle(request: Request, worker: SiteWorker | undefined, peer?: string): Promise<Response> {
    const { clock, settings } = this.#deps
    const startMs = clock.monotonic()
    this.#metrics.requestStarted()
    let page: Page | undefined
    let response: Response
    try {
      const target = readTarget(request.url)
      const match = this.#table.find(target.segments)
      if (match === undefined) throw new PageError(404, `There is no page ${target.url.pathname}.`)
      page = match.value
      response = await this.#answer({ request, target, worker, page, params: match.params, peer })
    } catch (thrown) {
      const failure = errorAnswer(thrown)
      this.#report(thrown, { status: failure.status, page, method: request.method, worker })
      response = failure.response
    }
    this.#metrics.requestAnswered({
      method: request.method,
      page: page?.path,
      status: response.status,
      durationMs: clock.monotonic() - startMs,
    })
    const answer = withHeaders(response, corsHeaders(settings.cors, request))
    if (request.method !== 'HEAD') return answer
    await dropBody(answer)
    return new Response(null, { status: answer.status, headers: answer.headers })
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
    await Promise.all([this.#route.close(FORWARD_GRACE_MS), this.#peers.close()])
  }

  async #answer({ request, target, worker, page, params, peer }: Incoming): Promise<Response> {
    const { method } = request
    const { clock, settings } = this.#deps
    const handler = page.verbs.get(method) ?? (method === 'HEAD' ? page.verbs.get('GET') : undefined)
    const allow = allowed(page.verbs)
    if (handler === undefined) {
      if (method === 'OPTIONS')
        return new Response(null, { status: 204, headers: { allow, ...this.#preflight(request, allow) } })
      throw new PageError(405, `${page.path} takes ${allow}.`, { headers: { allow } })
    }
    const limited = limitBody(request, { bytes: settings.bodyLimitBytes, idleMs: BODY_IDLE_MS, clock })
    const run = {
      clock,
      limitMs: settings.requestTimeoutMs,
      client: request.signal,
      worker: worker && this.#stopping(worker),
    }
    const response = await runPage(run, (signal) =>
      this.#inScope(worker, () =>
        handler(new PageRequest({ request: limited, url: target.url, params, signal, peer })),
      ),
    )
    if (response instanceof Response) return response
    throw new TypeError(`The page ${page.path} returned no Response.`)
  }

  #stopping({ context: { signal } }: SiteWorker): SharedSignal {
    const known = this.#stopSignals.get(signal)
    if (known !== undefined) return known
    const shared = new SharedSignal(signal)
    this.#stopSignals.set(signal, shared)
    return shared
  }

  #preflight(request: Request, allow: string): Readonly<Record<string, string>> {
    const { 'access-control-allow-origin': origin } = corsHeaders(this.#deps.settings.cors, request)
    return origin === undefined ? {} : preflightHeaders(request, allow)
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

  #report(
    thrown: unknown,
    {
      status,
      page,
      method,
      worker,
    }: {
      readonly status: number
      readonly page: Page | undefined
      readonly method: string
      readonly worker: SiteWorker | undefined
    },
  ): void {
    if (status < 500) return
    const error = toError(thrown)
    const fields = { page: page?.path, method, status }
    if (thrown instanceof PageError) {
      this.#deps.log.warn({ ...fields, error: error.message }, 'A page could not be answered.')
      return
    }
    this.#deps.log.error({ ...fields, err: error }, 'A page failed.')
    worker?.context.sensor.errorRaised({ source: `page ${page?.path ?? ''}`, error })
  }

  #checkParam(path: string, handler: object): void {
    const param = this.#paramOf.get(handler)
    if (param === undefined || parsePattern(path).some((segment) => 'param' in segment && segment.param === param))
      return
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The table route at ${path} reads the parameter "${param}", which the path does not have.`,
    )
  }

  #add(page: Page): void {
    const segments = parsePattern(page.path)
    const existing = this.#table.get(segments)
    if (existing !== undefined && !(existing.builtIn && segments.length === 0)) {
      throw new MillraceError(
        'NAME_TAKEN',
        `There is a ${existing.builtIn ? 'built-in ' : ''}page ${existing.path} already, where ${page.path} was defined.`,
      )
    }
    this.#table.set(segments, page)
    if (existing === undefined) this.#pages.push(page)
    else this.#pages.splice(this.#pages.indexOf(existing), 1, page)
  }
}

interface Incoming {
  readonly request: Request
  readonly target: Target
  readonly worker: SiteWorker | undefined
  readonly page: Page
  readonly params: AnyParams
  readonly peer: string | undefined
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

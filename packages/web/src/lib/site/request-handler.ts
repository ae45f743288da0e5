import { toError } from '@millrace/core'
import type { Access, Caller } from '../access/access.ts'
import { signInInstead } from '../access/sign-in.ts'
import type { ForwardedRequests } from '../routing/forwarded-requests.ts'
import type { Prometheus } from '../metrics/prometheus.ts'
import { limitBody } from '../pages/limit-body.ts'
import { type ForwardedRequest, PageRequest } from '../pages/page-context.ts'
import { errorAnswer, PageError } from '../pages/page-error.ts'
import { allowed } from '../pages/view.ts'
import { readTarget, type AnyParams, type RequestTarget } from '../pages/path-pattern.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'
import type { SiteWorkers } from '../site-workers.ts'
import { Overloaded, type Entrance } from './entrance.ts'
import type { Page, PageRegistry } from './page-registry.ts'
import { dropBody, runPage, SharedSignal } from './page-run.ts'

/** Longest pause of a client that is sending a body. */
const BODY_IDLE_MS = 30_000

/** Status for a client that disconnected: only metrics see it. */
const CLIENT_GONE = 499

export interface RequestHandlerParts {
  readonly site: Pick<SiteApp, 'surroundings'>
  readonly pages: PageRegistry
  readonly metrics: Pick<Prometheus, 'requestStarted' | 'requestAnswered'>
  readonly workers: SiteWorkers
  readonly access: Access
  readonly forwarded: ForwardedRequests
}

/** A request, the worker that was asked, and the peer address of the connection. */
export interface Asked {
  readonly request: Request
  readonly worker: SiteWorker | undefined
  readonly peer: string | undefined
  readonly entrance: Entrance
}

/** Answers requests: finds the page, applies the limits, and turns errors into answers. */
export class RequestHandler {
  readonly #parts: RequestHandlerParts
  readonly #stopSignals = new WeakMap<AbortSignal, SharedSignal>()

  constructor(parts: RequestHandlerParts) {
    this.#parts = parts
  }

  /** Never rejects. */
  async answer(asked: Asked): Promise<Response> {
    const { tracing } = this.#parts.site.surroundings.sensor ?? {}
    if (tracing === undefined) return await this.#answer(asked)
    return await tracing.request(asked.request, (routed) => this.#answer(asked, routed))
  }

  async #answer(asked: Asked, routed?: (path: string) => void): Promise<Response> {
    const { site, pages, metrics, forwarded } = this.#parts
    const { request, worker } = asked
    const startMs = site.surroundings.clock.monotonic()
    metrics.requestStarted()
    let page: Page | undefined
    let response: Response
    try {
      const target = readTarget(request.url)
      const match = pages.find(target.segments)
      if (match === undefined || !asked.entrance.has(match.value))
        throw new PageError(404, `There is no page ${target.url.pathname}.`)
      page = match.value
      routed?.(page.path)
      const forwardedBy = forwarded.read(request, worker)
      const peer = forwardedBy === undefined ? asked.peer : forwardedBy.peer
      response = await this.#answerWithin(page, { ...asked, peer, forwardedBy, target, params: match.params })
    } catch (thrown) {
      if (isGone(request, thrown)) response = new Response(null, { status: CLIENT_GONE })
      else {
        const failure = errorAnswer(thrown, site.surroundings.redact)
        this.#report(thrown, { status: failure.status, page, ...asked })
        response = failure.response
      }
    }
    metrics.requestAnswered({
      method: request.method,
      page: page?.path,
      status: response.status,
      durationMs: site.surroundings.clock.monotonic() - startMs,
    })
    const answer = page?.builtIn === true ? withDefaults(response, DATA_HEADERS) : this.#shared(response, request)
    if (request.method !== 'HEAD') return answer
    await dropBody(answer)
    return new Response(null, { status: answer.status, headers: answer.headers })
  }

  /** CORS is for the app's pages and for unknown paths: other sites never read the built-in pages (`web.cors`). */
  #shared(response: Response, request: Request): Response {
    return withHeaders(response, corsHeaders(this.#parts.site.surroundings.settings.web.cors, request))
  }

  async #answerWithin(page: Page, found: Found): Promise<Response> {
    if (page.always) return this.#answerBy(page, found)
    found.entrance.enter()
    try {
      return await this.#answerBy(page, found)
    } finally {
      found.entrance.left()
    }
  }

  async #answerBy(page: Page, { request, target, worker, params, peer, forwardedBy }: Found): Promise<Response> {
    const { method } = request
    const { clock, settings } = this.#parts.site.surroundings
    const verbs = page.verbs()
    const handler = verbs.get(method) ?? (method === 'HEAD' ? verbs.get('GET') : undefined)
    const allow = allowed(verbs)
    if (handler === undefined) {
      if (method === 'OPTIONS')
        return new Response(null, {
          status: 204,
          headers: { allow, ...(page.builtIn ? {} : this.#preflight(request, allow)) },
        })
      throw new PageError(405, `${page.path} takes ${allow}.`, { headers: { allow } })
    }
    const instead = this.#instead(page, { request, url: target.url, peer, forwardedBy })
    if (instead !== undefined) return instead
    const bytes = settings.web.bodyLimitBytes
    const limited = limitBody(request, { bytes, setting: 'web.bodyLimit', idleMs: BODY_IDLE_MS, clock })
    const run = {
      clock,
      limitMs: settings.web.requestTimeoutMs,
      client: request.signal,
      worker: worker && this.#stopping(worker),
    }
    const response = await runPage(run, (signal) =>
      this.#parts.workers.within(worker, () =>
        handler(new PageRequest({ request: limited, url: target.url, params, signal, peer, forwardedBy })),
      ),
    )
    if (response instanceof Response) return response
    throw new TypeError(`The page ${page.path} returned no Response.`)
  }

  /**
   * The answer for a caller that may not see the page. Throws a `PageError`: 404 if built-in pages are hidden, 429
   * after too many wrong tokens.
   */
  #instead(page: Page, caller: Caller): Response | undefined {
    if (page.isOpen()) return undefined
    const { site, access } = this.#parts
    if (!site.surroundings.settings.web.builtIn) throw new PageError(404, `There is no page ${caller.url.pathname}.`)
    const admission = access.admitCounted(caller)
    if (admission.as !== undefined) return undefined
    if (access.token === undefined) throw new PageError(403, admission.reason)
    const headers = { 'www-authenticate': 'Bearer realm="millrace"' }
    return signInInstead(caller, access) ?? errorAnswer(new PageError(401, admission.reason, { headers })).response
  }

  #stopping({ context: { signal } }: SiteWorker): SharedSignal {
    const known = this.#stopSignals.get(signal)
    if (known !== undefined) return known
    const shared = new SharedSignal(signal)
    this.#stopSignals.set(signal, shared)
    return shared
  }

  #preflight(request: Request, allow: string): Readonly<Record<string, string>> {
    const { 'access-control-allow-origin': origin } = corsHeaders(
      this.#parts.site.surroundings.settings.web.cors,
      request,
    )
    return origin === undefined ? {} : preflightHeaders(request, allow)
  }

  #report(
    thrown: unknown,
    { status, page, request, worker }: Asked & { readonly status: number; readonly page: Page | undefined },
  ): void {
    if (status < 500 || thrown instanceof Overloaded) return
    const { log } = this.#parts.site.surroundings
    const error = toError(thrown)
    const fields = { page: page?.path, method: request.method, status }
    if (thrown instanceof PageError) {
      log.warn({ ...fields, error: error.message }, 'A page could not be answered.')
      return
    }
    log.error({ ...fields, err: error }, 'A page failed.')
    worker?.context.sensor.errorRaised({ source: `page ${page?.path ?? ''}`, error })
  }
}

/**
 * The page stopped because its client disconnected, which is not the page's failure. Other errors are still reported.
 */
function isGone({ signal }: Request, thrown: unknown): boolean {
  return signal.aborted && thrown === signal.reason
}

interface Found extends Asked {
  readonly forwardedBy: ForwardedRequest | undefined
  readonly target: RequestTarget
  readonly params: AnyParams
}

/** How long a browser may cache a preflight's answer, in seconds. */
const MAX_AGE_S = 600

/**
 * Headers that let a page of another origin read the answer; empty if the setting does not name its origin. Cookies are
 * never allowed, because the site's pages do not use them.
 *
 * @param setting `web.cors`: origins separated by commas, or `*`
 */
function corsHeaders(setting: string | undefined, request: Request): Readonly<Record<string, string>> {
  const origin = request.headers.get('origin')
  if (setting === undefined || origin === null) return {}
  const origins = setting.split(',').map((each) => each.trim())
  if (origins.includes('*')) return { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*' }
  if (!origins.includes(origin)) return { vary: 'Origin' }
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': '*', vary: 'Origin' }
}

/** Headers for a preflight request; empty if the request is not one. */
function preflightHeaders(request: Request, allow: string): Readonly<Record<string, string>> {
  if (request.method !== 'OPTIONS' || !request.headers.has('access-control-request-method')) return {}
  const asked = request.headers.get('access-control-request-headers')
  return {
    'access-control-allow-methods': allow,
    'access-control-max-age': String(MAX_AGE_S),
    ...(asked === null ? {} : { 'access-control-allow-headers': asked }),
  }
}

/** Headers of built-in pages: no cache keeps their content, and no browser takes it for a script or a page. */
const DATA_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

/** The answer with the headers that it lacks. */
function withDefaults(response: Response, defaults: Readonly<Record<string, string>>): Response {
  return withHeaders(
    response,
    Object.fromEntries(Object.entries(defaults).filter(([name]) => !response.headers.has(name))),
  )
}

/** The answer with more headers; `vary` is appended to the existing value. */
function withHeaders(response: Response, more: Readonly<Record<string, string>>): Response {
  const names = Object.keys(more)
  if (names.length === 0) return response
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(more)) {
    if (name === 'vary') headers.append(name, value)
    else headers.set(name, value)
  }
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}

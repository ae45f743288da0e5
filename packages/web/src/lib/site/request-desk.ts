import { toError } from '@millrace/core'
import { limitBody } from '../body/limit-body.ts'
import { errorAnswer } from '../errors/error-answer.ts'
import { PageError } from '../errors/page-error.ts'
import type { Prometheus } from '../metrics/prometheus.ts'
import { PageRequest } from '../pages/page-request.ts'
import { allowed } from '../pages/verbs.ts'
import type { AnyParams } from '../paths/path-params.ts'
import { readTarget, type Target } from '../paths/read-target.ts'
import { corsHeaders, preflightHeaders } from './cors.ts'
import type { Page, PageBook } from './page-book.ts'
import { dropBody, runPage } from './page-run.ts'
import { SharedSignal } from './shared-signal.ts'
import type { SiteDeps, SiteWorker } from './site-deps.ts'
import { withHeaders } from './with-headers.ts'

/** A client that is sending a body is waited for so long. */
const BODY_IDLE_MS = 30_000

/** Nobody reads it; for the figures. */
const CLIENT_GONE = 499

export interface RequestDeskDeps {
  readonly site: Pick<SiteDeps, 'clock' | 'log' | 'settings'>
  readonly pages: PageBook
  readonly metrics: Pick<Prometheus, 'requestStarted' | 'requestAnswered'>
  readonly inScope: <T>(worker: SiteWorker | undefined, work: () => T) => T
}

/** A request, the worker that was asked, and the address at the other end of the connection. */
export interface Asked {
  readonly request: Request
  readonly worker: SiteWorker | undefined
  readonly peer: string | undefined
}

/** Answers requests: finds the page, keeps to the limits, and makes answers of errors. */
export class RequestDesk {
  readonly #deps: RequestDeskDeps
  readonly #stopSignals = new WeakMap<AbortSignal, SharedSignal>()

  constructor(deps: RequestDeskDeps) {
    this.#deps = deps
  }

  /** Never rejects. */
  async answer(asked: Asked): Promise<Response> {
    const { site, pages, metrics } = this.#deps
    const { request } = asked
    const startMs = site.clock.monotonic()
    metrics.requestStarted()
    let page: Page | undefined
    let response: Response
    try {
      const target = readTarget(request.url)
      const match = pages.find(target.segments)
      if (match === undefined) throw new PageError(404, `There is no page ${target.url.pathname}.`)
      page = match.value
      response = await this.#answerBy(page, { ...asked, target, params: match.params })
    } catch (thrown) {
      if (isGone(request, thrown)) response = new Response(null, { status: CLIENT_GONE })
      else {
        const failure = errorAnswer(thrown)
        this.#report(thrown, { status: failure.status, page, ...asked })
        response = failure.response
      }
    }
    metrics.requestAnswered({
      method: request.method,
      page: page?.path,
      status: response.status,
      durationMs: site.clock.monotonic() - startMs,
    })
    const answer = withHeaders(response, corsHeaders(site.settings.cors, request))
    if (request.method !== 'HEAD') return answer
    await dropBody(answer)
    return new Response(null, { status: answer.status, headers: answer.headers })
  }

  async #answerBy(page: Page, { request, target, worker, params, peer }: Found): Promise<Response> {
    const { method } = request
    const { clock, settings } = this.#deps.site
    const verbs = page.verbs()
    const handler = verbs.get(method) ?? (method === 'HEAD' ? verbs.get('GET') : undefined)
    const allow = allowed(verbs)
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
      this.#deps.inScope(worker, () =>
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
    const { 'access-control-allow-origin': origin } = corsHeaders(this.#deps.site.settings.cors, request)
    return origin === undefined ? {} : preflightHeaders(request, allow)
  }

  #report(
    thrown: unknown,
    { status, page, request, worker }: Asked & { readonly status: number; readonly page: Page | undefined },
  ): void {
    if (status < 500) return
    const { log } = this.#deps.site
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

/** The page gave up because its client has left: no failure of the page. Other errors are told, client or not. */
function isGone({ signal }: Request, thrown: unknown): boolean {
  return signal.aborted && thrown === signal.reason
}

interface Found extends Asked {
  readonly target: Target
  readonly params: AnyParams
}

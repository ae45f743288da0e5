import { PageError, unavailable } from '../pages/page-error.ts'
import type { Prometheus } from '../metrics/prometheus.ts'
import type { SiteApp } from '../site-app.ts'
import { Forwarder, ForwardTimeout } from './forwarder.ts'

/** On a request that another worker has passed on: it is answered here or not at all. */
const FORWARDED = 'millrace-forwarded'
/** On the answer to such a request: what it is about is not here, nothing was done. */
const NOT_HERE = 'millrace-not-here'

/** A request for another worker. */
export interface ProxiedRequest {
  readonly request: Request
  readonly signal: AbortSignal
  /** Host and port of the other worker's site. */
  readonly address: string
  /** Begins a sentence about the other worker: `Partition 3 of table "counts" is on a worker that`. */
  readonly other: string
  /** The whole sentence for when the other worker does not have it either. */
  readonly moved: string
}

/** Passes requests on to the worker that they are for: once, so that two workers that each take the other for it do not pass a request to and fro. */
export class WorkerProxy {
  readonly #site: Pick<SiteApp, 'surroundings'>
  readonly #metrics: Pick<Prometheus, 'routed'>
  #forwarder: Forwarder | undefined

  constructor(site: Pick<SiteApp, 'surroundings'>, metrics: Pick<Prometheus, 'routed'>) {
    this.#site = site
    this.#metrics = metrics
  }

  /** For a request that can't be answered here: throws when another worker has sent it. */
  refuseSecond(request: Request, sentence: string): void {
    if (!request.headers.has(FORWARDED)) return
    throw new PageError(503, sentence, {
      headers: { 'retry-after': '1', [NOT_HERE]: 'true' },
    })
  }

  /**
   * The answer, or why there is none: then nothing was done where `notDone` is true, and it may have been where it is not.
   * Throws the signal's reason, and a `PageError` 503 when the other worker takes too long: another try would too.
   */
  async forward({ request, signal, address, other, moved }: ProxiedRequest): Promise<Response | ProxyFailure> {
    const { clock, settings } = this.#site.surroundings
    this.#forwarder ??= new Forwarder(clock)
    try {
      const limitMs = settings.web.routeTimeoutMs
      const response = await this.#forwarder.forward({
        address,
        request,
        signal,
        limitMs,
        headers: { [FORWARDED]: 'true' },
      })
      if (!response.headers.has(NOT_HERE)) {
        this.#metrics.routed('forwarded')
        return response
      }
      await response.body?.cancel()
      return { notDone: true, error: unavailable(moved) }
    } catch (error) {
      if (error instanceof PageError) throw error
      if (error instanceof ForwardTimeout) throw unavailable(`${other} does not answer: ${error.message}`, error)
      if (signal.aborted) throw signal.reason
      return {
        notDone: false,
        error: unavailable(`${other} cannot be reached at ${address}.`, error),
      }
    }
  }

  async close(graceMs: number): Promise<void> {
    const forwarder = this.#forwarder
    this.#forwarder = undefined
    await forwarder?.close(graceMs)
  }
}

/** A request that was not answered by the worker that it is for. */
export interface ProxyFailure {
  /** The other worker has said so. */
  readonly notDone: boolean
  readonly error: PageError
}

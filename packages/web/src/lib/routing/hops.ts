import { PageError } from '../errors/page-error.ts'
import { unavailable } from '../errors/error-answer.ts'
import type { Prometheus } from '../metrics/prometheus.ts'
import type { SiteDeps } from '../site/site-deps.ts'
import { Forwarder, ForwardTimeout } from './forwarder.ts'

/** On a request that another worker has sent on: it is answered here or not at all. */
const HOP = 'millrace-forwarded'
/** On the answer to such a request: what it is about is not here, nothing was done. */
const NOT_HERE = 'millrace-not-here'

export interface HopsDeps {
  readonly site: Pick<SiteDeps, 'clock' | 'settings'>
  readonly metrics: Pick<Prometheus, 'routed'>
}

export interface Hop {
  readonly request: Request
  readonly signal: AbortSignal
  /** Host and port of the other worker's site. */
  readonly address: string
  /** Begins a sentence about the other worker: `Partition 3 of table "counts" is on a worker that`. */
  readonly other: string
  /** The sentence when it says that what is asked for is not there either. */
  readonly moved: string
}

/** Sends requests on to the worker that they are for: once, so that two workers that take each other for it pass nothing to and fro. */
export class Hops {
  readonly #deps: HopsDeps
  #forwarder: Forwarder | undefined

  constructor(deps: HopsDeps) {
    this.#deps = deps
  }

  /** For a request that can't be answered here: throws when another worker has sent it. */
  refuseSecond(request: Request, sentence: string): void {
    if (!request.headers.has(HOP)) return
    throw new PageError(503, sentence, {
      headers: { 'retry-after': '1', [NOT_HERE]: 'true' },
    })
  }

  /**
   * The answer, or why there is none: then nothing was done where `notDone` is true, and it may have been where it is not.
   * Throws the signal's reason, and a `PageError` 503 when the other worker takes too long: another try would too.
   */
  async forward({ request, signal, address, other, moved }: Hop): Promise<Response | HopFailure> {
    const { clock, settings } = this.#deps.site
    this.#forwarder ??= new Forwarder(clock)
    try {
      const limitMs = settings.routeTimeoutMs
      const response = await this.#forwarder.forward({ address, request, signal, limitMs, headers: { [HOP]: 'true' } })
      if (!response.headers.has(NOT_HERE)) {
        this.#deps.metrics.routed('forwarded')
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
export interface HopFailure {
  /** The other worker has said so. */
  readonly notDone: boolean
  readonly error: PageError
}

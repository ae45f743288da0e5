import { redactUrl } from '@millrace/core'
import type { Prometheus } from '../metrics/prometheus.ts'
import type { PageContext } from '../pages/page-context.ts'
import { PageError, unavailable } from '../pages/page-error.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'
import type { SiteWorkers } from '../site-workers.ts'
import { Forwarder, type ForwardOptions, ForwardTimeout, type Ways } from './forwarder.ts'
import type { ForwardedRequests } from './forwarded-requests.ts'
import { AddressRefused } from './peer-addresses.ts'

/** Response header: the forwarded request was not carried out, because its target is not on that worker. */
const NOT_HERE = 'millrace-not-here'

export interface WorkerProxyParts extends Ways {
  readonly site: Pick<SiteApp, 'surroundings'>
  readonly workers: SiteWorkers
  readonly forwarded: ForwardedRequests
  readonly metrics: Pick<Prometheus, 'routed'>
}

/** Connections to one worker at a time; further requests wait, within their own time limit. */
const CONNECTIONS = 64
/** Addresses that have been logged. */
const MOST_REFUSED = 1_000

/** Another worker, as the group knows it. */
interface OtherWorker {
  readonly member: string
  /** Host and port of its site, as advertised. */
  readonly address: string
}

/** A client's request for another worker. */
export interface ProxiedRequest extends OtherWorker {
  readonly c: PageContext
  /** The request to send, if not the client's own. */
  readonly request?: Request
  /** Begins a sentence about the other worker: `Partition 3 of table "counts" is on a worker that`. */
  readonly other: string
  /** The whole sentence for when the other worker does not have the target either. */
  readonly moved: string
}

/** A worker's own request to another one. */
export interface PeerRequest extends OtherWorker {
  /** The client, or this worker, that asks. */
  readonly worker: SiteWorker
  readonly path: string
  readonly signal: AbortSignal
  readonly limitMs: number
  /** Set for an answer that never ends: how long it may pause. */
  readonly idleMs?: number
}

/** Forwards requests to the worker that can answer them, at most once, so that requests cannot loop. */
export class WorkerProxy {
  readonly #parts: WorkerProxyParts
  readonly #refused = new Set<string>()
  #forwarder: Forwarder | undefined
  /** For answers that never end: they would take the connections of other requests. */
  #streams: Forwarder | undefined

  constructor(parts: WorkerProxyParts) {
    this.#parts = parts
  }

  /** Whether another worker has sent it here. */
  isForwarded(request: Request): boolean {
    return this.#parts.forwarded.isForwarded(request)
  }

  /** Called for a request that this worker cannot answer: throws if another worker forwarded it. */
  refuseSecond(request: Request, sentence: string): void {
    if (!this.#parts.forwarded.isForwarded(request)) return
    throw new PageError(503, sentence, {
      headers: { 'retry-after': '1', [NOT_HERE]: 'true' },
    })
  }

  /**
   * The response, or why there is none: `notDone` is true if nothing was done, and false if the work may have been
   * done. Throws the signal's reason, or a `PageError`: 503 if the other worker takes too long, as would another try;
   * 502 if requests must not go to its address.
   */
  async forward({
    c,
    request = c.request,
    member,
    address,
    other,
    moved,
  }: ProxiedRequest): Promise<Response | ProxyFailure> {
    const { site, workers, forwarded, metrics } = this.#parts
    const { settings, sensor } = site.surroundings
    const limitMs = settings.web.routeTimeoutMs
    const send = (traced: Readonly<Record<string, string>>): Promise<Response> => {
      const headers = forwarded.headers({ request, to: address, worker: workers.asked(), client: c })
      for (const [name, value] of Object.entries(traced)) headers.set(name, value)
      return this.#send(member, { address, request, signal: c.signal, limitMs, headers })
    }
    try {
      const { tracing } = sensor ?? {}
      const response =
        tracing === undefined ? await send({}) : await tracing.forward({ method: request.method, address }, send)
      if (!response.headers.has(NOT_HERE)) {
        metrics.routed('forwarded')
        return response
      }
      await response.body?.cancel()
      return { notDone: true, error: unavailable(moved) }
    } catch (error) {
      if (error instanceof PageError) throw error
      if (error instanceof ForwardTimeout) throw unavailable(`${other} does not answer: ${error.message}`, error)
      if (c.signal.aborted) throw c.signal.reason
      return {
        notDone: false,
        error: unavailable(`${other} cannot be reached at ${address}.`, error),
      }
    }
  }

  /** Asks another worker for JSON. Rejects as `forward` throws, or with the connection's error. */
  ask({ worker, member, address, path, signal, limitMs, idleMs }: PeerRequest): Promise<Response> {
    const request = new Request(new URL(path, 'http://peer'), { headers: { accept: 'application/json' } })
    const headers = this.#parts.forwarded.headers({ request, to: address, worker })
    return this.#send(member, { address, request, signal, limitMs, idleMs, headers })
  }

  async close(graceMs: number): Promise<void> {
    const open = [this.#forwarder, this.#streams].flatMap((forwarder) => forwarder ?? [])
    this.#forwarder = undefined
    this.#streams = undefined
    await Promise.all(open.map((forwarder) => forwarder.close(graceMs)))
  }

  async #send(member: string, options: ForwardOptions): Promise<Response> {
    const { site } = this.#parts
    const { clock } = site.surroundings
    const forwarder =
      options.idleMs === undefined
        ? (this.#forwarder ??= new Forwarder(clock, this.#parts, CONNECTIONS))
        : (this.#streams ??= new Forwarder(clock, this.#parts))
    try {
      return await forwarder.forward(options)
    } catch (error) {
      if (!(error instanceof AddressRefused)) throw error
      const address = redactUrl(options.address)
      const key = `${member} ${address}`
      if (!this.#refused.has(key) && this.#refused.size < MOST_REFUSED) {
        this.#refused.add(key)
        site.surroundings.log.warn(
          { member, address, reason: error.message },
          'Nothing is sent to the address that another worker gives: see web.advertise there, and web.peers here.',
        )
      }
      throw new PageError(502, `Nothing is sent to worker "${member}": ${error.message} (web.peers).`, { cause: error })
    }
  }
}

/** A request that the target worker did not answer. */
export interface ProxyFailure {
  /** Whether the other worker reported this itself. */
  readonly notDone: boolean
  readonly error: PageError
}

import type { KeyLocation, RoutedTable, TaskPart } from '@millrace/core'
import { PageError } from '../errors/page-error.ts'
import { unavailable } from '../errors/error-answer.ts'
import type { Prometheus } from '../metrics/prometheus.ts'
import type { PageAnswer } from '../pages/page-context.ts'
import type { SiteDeps, SiteWorker } from '../site/site-deps.ts'
import { Forwarder, ForwardTimeout } from './forwarder.ts'
import { groupRouter } from './group-router.ts'
import { partitionOf } from './partition-of.ts'

/** On a request that another worker has sent on: it is answered here or not at all. */
const HOP = 'millrace-forwarded'
/** On the answer to such a request: the key is not here, nothing was done. */
const NOT_HERE = 'millrace-not-here'
/** These may be sent twice. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** A request about one key. */
export interface KeyRequest {
  readonly table: RoutedTable & TaskPart
  /** The key as text. */
  readonly text: string
  readonly request: Request
  readonly signal: AbortSignal
  /** Runs in the scope of a worker that has the key. */
  readonly answer: () => PageAnswer
}

export interface KeyRouteDeps {
  readonly site: Pick<SiteDeps, 'clock' | 'settings' | 'workers'>
  readonly metrics: Pick<Prometheus, 'routed'>
  /** The worker that was asked; throws when there is none. */
  readonly worker: () => SiteWorker
  readonly runAs: (worker: SiteWorker, work: () => PageAnswer) => PageAnswer
}

/** Where a request about a key goes: to a worker of this process, or to a site elsewhere. */
type Way = { readonly here: SiteWorker } | { readonly address: string; readonly location: KeyLocation }

/** Brings requests to the worker that has the key's partition. */
export class KeyRoute {
  readonly #deps: KeyRouteDeps
  #forwarder: Forwarder | undefined

  constructor(deps: KeyRouteDeps) {
    this.#deps = deps
  }

  /** Throws a `PageError`: 503 when no worker can be reached that has the key, 400 when the text is no key. */
  async serve(asked: KeyRequest): Promise<Response> {
    const key = asked.table.parseKey(asked.text)
    try {
      return await this.#follow(asked, key)
    } catch (error) {
      if (error instanceof PageError && error.status === 503) this.#deps.metrics.routed('refused')
      throw error
    }
  }

  async close(graceMs: number): Promise<void> {
    const forwarder = this.#forwarder
    this.#forwarder = undefined
    await forwarder?.close(graceMs)
  }

  async #follow(asked: KeyRequest, key: Buffer): Promise<Response> {
    const first = this.#find(asked, key)
    if ('here' in first) return this.#deps.runAs(first.here, asked.answer)
    const answered = await this.#tryForward(asked, first)
    if (answered instanceof Response) return answered
    if (!SAFE.has(asked.request.method)) throw answered
    const second = this.#find(asked, key)
    this.#deps.metrics.routed('retried')
    if ('here' in second) return this.#deps.runAs(second.here, asked.answer)
    const again = await this.#tryForward(asked, second)
    if (again instanceof Response) return again
    throw again
  }

  #find({ table, request }: KeyRequest, key: Buffer): Way {
    const own = this.#deps.worker()
    const partition = partitionOf(table, key)
    if (partition === undefined) throw unavailable(`The partitions of table "${table.name}" are not known yet.`)
    const here = this.#having(own, { table, partition })
    if (here !== undefined) return { here }
    const where = `Partition ${partition} of table "${table.name}"`
    if (request.headers.has(HOP)) {
      throw new PageError(503, `${where} is not on this worker, or not recovered yet.`, {
        headers: { 'retry-after': '1', [NOT_HERE]: 'true' },
      })
    }
    const location = groupRouter(own).locate(table, key)
    if (location === undefined) throw unavailable(`${where} is on no worker that is known here.`)
    if (location.local) throw unavailable(`${where} is being recovered.`)
    if (location.address === undefined) throw unavailable(`${where} is on a worker that serves no site.`)
    return { address: location.address, location }
  }

  #having(
    own: SiteWorker,
    { table, partition }: { readonly table: TaskPart; readonly partition: number },
  ): SiteWorker | undefined {
    const has = ({ context }: SiteWorker): boolean => context.openPart(table, partition) !== undefined
    return has(own) ? own : this.#deps.site.workers().find(has)
  }

  /** The answer, or why there is none though the owner may have changed. Throws what makes another try pointless. */
  async #tryForward(
    { request, signal, table }: KeyRequest,
    { address, location }: Exclude<Way, { here: unknown }>,
  ): Promise<Response | PageError> {
    const { clock, settings } = this.#deps.site
    const where = `Partition ${location.partition} of table "${table.name}"`
    this.#forwarder ??= new Forwarder(clock)
    try {
      const response = await this.#forwarder.forward({
        address,
        request,
        signal,
        limitMs: settings.routeTimeoutMs,
        headers: { [HOP]: 'true' },
      })
      if (!response.headers.has(NOT_HERE)) {
        this.#deps.metrics.routed('forwarded')
        return response
      }
      await response.body?.cancel()
      return unavailable(`${where} is moving, or being recovered.`)
    } catch (error) {
      if (error instanceof PageError) throw error
      if (error instanceof ForwardTimeout)
        throw unavailable(`${where} is on a worker that does not answer: ${error.message}`, error)
      if (signal.aborted) throw signal.reason
      return unavailable(`${where} is on a worker that cannot be reached at ${address}.`, error)
    }
  }
}

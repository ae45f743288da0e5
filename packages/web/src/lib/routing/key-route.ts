import type { KeyLocation, RoutedTable, StateDefinition } from '@millrace/core'
import { PageError } from '../errors/page-error.ts'
import { unavailable } from '../errors/error-answer.ts'
import type { Prometheus } from '../metrics/prometheus.ts'
import type { PageAnswer } from '../pages/page-context.ts'
import type { SiteDeps, SiteWorker } from '../site/site-deps.ts'
import { groupRouter } from './group-router.ts'
import type { HopFailure, Hops } from './hops.ts'
import { partitionOf } from './partition-of.ts'

/** These may be sent twice. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** A request about one key. */
export interface KeyRequest {
  readonly table: RoutedTable & StateDefinition
  /** The key as text. */
  readonly text: string
  readonly request: Request
  readonly signal: AbortSignal
  /** Runs in the scope of a worker that has the key. */
  readonly answer: () => PageAnswer
}

export interface KeyRouteDeps {
  readonly site: Pick<SiteDeps, 'workers'>
  readonly metrics: Pick<Prometheus, 'routed'>
  readonly hops: Hops
  /** The worker that was asked; throws when there is none. */
  readonly worker: () => SiteWorker
  readonly runAs: (worker: SiteWorker, work: () => PageAnswer) => PageAnswer
}

/** Where a request about a key goes: to a worker of this process, or to a site elsewhere. */
type Way = { readonly here: SiteWorker } | { readonly address: string; readonly location: KeyLocation }

/** Brings requests to the worker that has the key's partition. */
export class KeyRoute {
  readonly #deps: KeyRouteDeps

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

  async #follow(asked: KeyRequest, key: Buffer): Promise<Response> {
    const first = this.#find(asked, key)
    if ('here' in first) return this.#deps.runAs(first.here, asked.answer)
    const answered = await this.#tryForward(asked, first)
    if (answered instanceof Response) return answered
    if (!SAFE.has(asked.request.method)) throw answered.error
    const second = this.#find(asked, key)
    this.#deps.metrics.routed('retried')
    if ('here' in second) return this.#deps.runAs(second.here, asked.answer)
    const again = await this.#tryForward(asked, second)
    if (again instanceof Response) return again
    throw again.error
  }

  #find({ table, request }: KeyRequest, key: Buffer): Way {
    const own = this.#deps.worker()
    const partition = partitionOf(table, key)
    if (partition === undefined) throw unavailable(`The partitions of table "${table.name}" are not known yet.`)
    const here = this.#having(own, { table, partition })
    if (here !== undefined) return { here }
    const where = `Partition ${partition} of table "${table.name}"`
    this.#deps.hops.refuseSecond(request, `${where} is not on this worker, or not recovered yet.`)
    const location = groupRouter(own).locate(table, key)
    if (location === undefined) throw unavailable(`${where} is on no worker that is known here.`)
    if (location.local) throw unavailable(`${where} is being recovered.`)
    if (location.address === undefined) throw unavailable(`${where} is on a worker that serves no site.`)
    return { address: location.address, location }
  }

  #having(
    own: SiteWorker,
    { table, partition }: { readonly table: StateDefinition; readonly partition: number },
  ): SiteWorker | undefined {
    const has = ({ context }: SiteWorker): boolean => context.openPart(table, partition) !== undefined
    return has(own) ? own : this.#deps.site.workers().find(has)
  }

  #tryForward(
    { request, signal, table }: KeyRequest,
    { address, location }: Exclude<Way, { here: unknown }>,
  ): Promise<Response | HopFailure> {
    const where = `Partition ${location.partition} of table "${table.name}"`
    const [other, moved] = [`${where} is on a worker that`, `${where} is moving, or being recovered.`]
    return this.#deps.hops.forward({ request, signal, address, other, moved })
  }
}

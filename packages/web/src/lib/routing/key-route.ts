import type { KeyLocation } from './router.ts'
import type { RoutedTable, StateCopy, StateDefinition } from '@millrace/worker'
import type { Prometheus } from '../metrics/prometheus.ts'
import type { PageAnswer, PageContext } from '../pages/page-context.ts'
import { PageError, unavailable } from '../pages/page-error.ts'
import type { AnyParams } from '../pages/path-pattern.ts'
import type { SiteWorker } from '../site-app.ts'
import type { SiteWorkers } from '../site-workers.ts'
import { groupRouter, membersOf, partitionOf } from './locate.ts'
import type { ProxyFailure, WorkerProxy } from './worker-proxy.ts'

/** Answers a request on the worker that has the key. */
export type KeyHandler<Params, K> = (c: PageContext<Params>, key: K) => PageAnswer

/** Parameters that a path must have: the named one. */
export type ParamsWith<Name extends string> = { readonly [N in Name]: string } & AnyParams

/** Methods that may be sent twice. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** A request about one key. */
export interface KeyRequest {
  readonly table: RoutedTable & StateDefinition
  /** The key as text. */
  readonly text: string
  readonly c: PageContext
  /** Runs in the context of the worker that has the key. */
  readonly answer: () => PageAnswer
  /** Set if a warm copy may answer too. */
  readonly copy?: CopyAnswer
}

/** How a warm copy answers. */
export interface CopyAnswer {
  /** How many offsets of the changelog it may lack. */
  readonly maxLag: number
  readonly answer: (copy: StateCopy) => PageAnswer
}

/** Response header: how many offsets of the changelog the copy lacked that has answered. */
const LAG_HEADER = 'millrace-lag'

/** Where a request about a key goes: to a worker in this process, or to another site. */
export type Destination = { readonly here: SiteWorker } | { readonly address: string; readonly location: KeyLocation }

/** Routes requests to the worker that has the key's partition. */
export class KeyRoute {
  readonly #workers: SiteWorkers
  readonly #proxy: WorkerProxy
  readonly #metrics: Pick<Prometheus, 'routed'>

  constructor(workers: SiteWorkers, proxy: WorkerProxy, metrics: Pick<Prometheus, 'routed'>) {
    this.#workers = workers
    this.#proxy = proxy
    this.#metrics = metrics
  }

  /**
   * The answer of the key's worker if that is here; if copies may answer, of one here; of the key's worker elsewhere; or of a
   * copy elsewhere. Throws a `PageError`: 503 if nobody who could answer can be reached, 400 if the text is not a valid key.
   */
  async serve(asked: KeyRequest): Promise<Response> {
    const key = asked.table.parseKey(asked.text)
    try {
      return (await this.#copied(asked, key)) ?? (await this.#follow(asked, key))
    } catch (error) {
      if (!(error instanceof PageError) || (error.status !== 503 && error.status !== 502)) throw error
      const copied = await this.#copiedElsewhere(asked, key)
      if (copied !== undefined) return copied
      this.#metrics.routed('refused')
      throw error
    }
  }

  async #copied({ table, copy }: KeyRequest, key: Buffer): Promise<Response | undefined> {
    const partition = copy === undefined ? undefined : partitionOf(table, key)
    if (copy === undefined || partition === undefined) return undefined
    if (this.#having(this.#workers.asked(), { table, partition }) !== undefined) return undefined
    for (const { context } of this.#workers.all()) {
      const found = context.copyOf(table, partition)
      if (found === undefined || found.lag > copy.maxLag) continue
      const response = await copy.answer(found)
      response.headers.set(LAG_HEADER, String(found.lag))
      return response
    }
    return undefined
  }

  /** No worker knows where copies are, so the others are asked one after the other. */
  async #copiedElsewhere({ c, table, copy }: KeyRequest, key: Buffer): Promise<Response | undefined> {
    if (copy === undefined || this.#proxy.isForwarded(c.request)) return undefined
    const own = this.#workers.asked()
    const owner = groupRouter(own).locate(table, key)?.member
    const where = `A warm copy of table "${table.name}"`
    const [other, moved] = [`${where} may be on a worker that`, `${where} is not there.`]
    for (const { member, address } of membersOf(own)) {
      if (member === owner) continue
      try {
        const answered = await this.#proxy.forward({ c, member, address, other, moved })
        if (answered instanceof Response) return answered
      } catch (error) {
        // It does not answer: the next one may.
        if (!(error instanceof PageError)) throw error
      }
    }
    return undefined
  }

  /**
   * Where the worker in whose context it is called sends a request about a key. Throws a `PageError`: 503 if no worker with
   * the key can be reached, or if another worker has sent the request here for nothing; 501 for a table whose keys have no place.
   */
  find({ table, c }: Pick<KeyRequest, 'table' | 'c'>, key: Buffer): Destination {
    const own = this.#workers.asked()
    const partition = partitionOf(table, key)
    if (partition === undefined) throw unavailable(`The partitions of table "${table.name}" are not known yet.`)
    const here = this.#having(own, { table, partition })
    if (here !== undefined) return { here }
    const where = `Partition ${partition} of table "${table.name}"`
    this.#proxy.refuseSecond(c.request, `${where} is not on this worker, or not recovered yet.`)
    const location = groupRouter(own).locate(table, key)
    if (location === undefined) throw unavailable(`${where} is on no worker that is known here.`)
    if (location.local) throw unavailable(`${where} is being recovered.`)
    if (location.address === undefined) throw unavailable(`${where} is on a worker that serves no site.`)
    return { address: location.address, location }
  }

  async #follow(asked: KeyRequest, key: Buffer): Promise<Response> {
    const first = this.find(asked, key)
    if ('here' in first) return this.#workers.within(first.here, asked.answer)
    const answered = await this.#tryForward(asked, first)
    if (answered instanceof Response) return answered
    if (!SAFE.has(asked.c.request.method)) throw answered.error
    const second = this.find(asked, key)
    this.#metrics.routed('retried')
    if ('here' in second) return this.#workers.within(second.here, asked.answer)
    const again = await this.#tryForward(asked, second)
    if (again instanceof Response) return again
    throw again.error
  }

  #having(
    own: SiteWorker,
    { table, partition }: { readonly table: StateDefinition; readonly partition: number },
  ): SiteWorker | undefined {
    const has = ({ context }: SiteWorker): boolean => context.openState(table, partition) !== undefined
    return has(own) ? own : this.#workers.all().find(has)
  }

  #tryForward(
    { c, table }: KeyRequest,
    { address, location }: Exclude<Destination, { here: unknown }>,
  ): Promise<Response | ProxyFailure> {
    const where = `Partition ${location.partition} of table "${table.name}"`
    const [other, moved] = [`${where} is on a worker that`, `${where} is moving, or being recovered.`]
    return this.#proxy.forward({ c, member: location.member, address, other, moved })
  }
}

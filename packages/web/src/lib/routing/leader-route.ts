import { isMillraceError } from '@millrace/core'
import { unavailable } from '../errors/error-answer.ts'
import type { SiteDeps, SiteWorker } from '../site/site-deps.ts'
import type { HopFailure, Hops } from './hops.ts'

export interface LeaderRouteDeps {
  readonly site: Pick<SiteDeps, 'workers'>
  readonly hops: Hops
  /** The worker that was asked; throws when there is none. */
  readonly worker: () => SiteWorker
}

/** A request for whichever worker leads. */
export interface LeaderRequest<T> {
  readonly request: Request
  readonly signal: AbortSignal
  /** What only the leader does. Begins a sentence: `Job "daily"`. */
  readonly what: string
  /** Rejects with `NOT_LEADER` where that worker does not lead, having done nothing. */
  readonly work: (worker: SiteWorker) => Promise<T>
  readonly answer: (done: T) => Response
}

/** Brings requests to the leader: a worker of this process, or the site of another one. */
export class LeaderRoute {
  readonly #deps: LeaderRouteDeps

  constructor(deps: LeaderRouteDeps) {
    this.#deps = deps
  }

  /** Throws what the work throws, and a `PageError` 503 when nobody leads, or the leader cannot be reached. */
  async serve<T>(asked: LeaderRequest<T>): Promise<Response> {
    const first = await this.#try(asked)
    if (first instanceof Response) return first
    if (!first.notDone) throw first.error
    // The lead has moved meanwhile.
    const second = await this.#try(asked)
    if (second instanceof Response) return second
    throw second.error
  }

  async #try<T>({ request, signal, what, work, answer }: LeaderRequest<T>): Promise<Response | HopFailure> {
    const own = this.#deps.worker()
    for (const worker of new Set([own, ...this.#deps.site.workers()])) {
      try {
        return answer(await work(worker))
      } catch (error) {
        if (!isMillraceError(error, 'NOT_LEADER')) throw error
      }
    }
    const runsThere = `${what} runs on the leader`
    this.#deps.hops.refuseSecond(request, `${runsThere}, and this worker does not lead.`)
    const { leader, memberId } = own.assignment()
    if (leader === undefined) throw unavailable(`${runsThere}, and nobody leads just now.`)
    if (leader.member === memberId) throw unavailable(`${runsThere}: this worker, which is just beginning to lead.`)
    if (leader.address === undefined) throw unavailable(`${runsThere}, which serves no site.`)
    const [other, moved] = [`${runsThere}, which`, `${runsThere}, and the lead is moving.`]
    return this.#deps.hops.forward({ request, signal, address: leader.address, other, moved })
  }
}

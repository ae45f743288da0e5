import { isMillraceError } from '@millrace/core'
import type { PageContext } from '../pages/page-context.ts'
import { unavailable } from '../pages/page-error.ts'
import type { SiteWorker } from '../site-app.ts'
import type { SiteWorkers } from '../site-workers.ts'
import type { ProxyFailure, WorkerProxy } from './worker-proxy.ts'

/** A request for the current leader. */
export interface LeaderRequest<T> {
  readonly c: PageContext
  /** Sent to the leader in place of the client's request; may be sent twice. */
  readonly request: Request
  /** The work that only the leader does, as the start of a sentence: `Job "daily"`. */
  readonly what: string
  /** Rejects with `NOT_LEADER` without doing anything if that worker does not lead. */
  readonly work: (worker: SiteWorker) => Promise<T>
  readonly answer: (done: T) => Response
}

/** Routes requests to the leader: a worker in this process, or another worker's site. */
export class LeaderRoute {
  readonly #workers: SiteWorkers
  readonly #proxy: WorkerProxy

  constructor(workers: SiteWorkers, proxy: WorkerProxy) {
    this.#workers = workers
    this.#proxy = proxy
  }

  /** Throws the work's error, or a `PageError` 503 if nobody leads or the leader cannot be reached. */
  async serve<T>(asked: LeaderRequest<T>): Promise<Response> {
    const first = await this.#try(asked)
    if (first instanceof Response) return first
    if (!first.notDone) throw first.error
    // The leader changed in the meantime.
    const second = await this.#try(asked)
    if (second instanceof Response) return second
    throw second.error
  }

  async #try<T>({ c, request, what, work, answer }: LeaderRequest<T>): Promise<Response | ProxyFailure> {
    const own = this.#workers.asked()
    for (const worker of new Set([own, ...this.#workers.all()])) {
      try {
        return answer(await work(worker))
      } catch (error) {
        if (!isMillraceError(error, 'NOT_LEADER')) throw error
      }
    }
    const runsThere = `${what} runs on the leader`
    this.#proxy.refuseSecond(request, `${runsThere}, and this worker does not lead.`)
    const { leader, memberId } = own.assignment()
    if (leader === undefined) throw unavailable(`${runsThere}, and nobody leads just now.`)
    if (leader.member === memberId) throw unavailable(`${runsThere}: this worker, which is just beginning to lead.`)
    if (leader.address === undefined) throw unavailable(`${runsThere}, which serves no site.`)
    const [other, moved] = [`${runsThere}, which`, `${runsThere}, and the lead is moving.`]
    return this.#proxy.forward({ c, request, member: leader.member, address: leader.address, other, moved })
  }
}

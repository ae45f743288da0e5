import type { Clock } from '@millrace/core'
import { knownMembers } from '../built-in/assignment.ts'
import type { SiteWorker } from '../site/site-deps.ts'
import type { HistoryPoint } from './history.ts'
import type { HistoryAnswer, LiveAnswer, LiveWorker } from './live-answer.ts'
import type { Peers } from './peers.ts'
import { SharedLooks } from './shared-looks.ts'
import type { Watches } from './watches.ts'

const NO_SITE = 'It serves no site (web.enabled), so its figures cannot be had.'

export interface AppViewDeps {
  readonly clock: () => Pick<Clock, 'monotonic'>
  readonly watches: Watches
  readonly peers: Peers
  /** The workers of this process. */
  readonly workers: () => readonly SiteWorker[]
}

/** What there is to see of one worker, or of all workers of the app, as the one that is asked knows them. */
export class AppView {
  readonly #deps: AppViewDeps
  // All workers answer for one that asks: whoever asks here must not be able to make many of it.
  readonly #live: SharedLooks<LiveAnswer>
  readonly #histories: SharedLooks<HistoryAnswer>

  constructor(deps: AppViewDeps) {
    this.#deps = deps
    this.#live = new SharedLooks(deps.clock)
    this.#histories = new SharedLooks(deps.clock)
  }

  live(worker: SiteWorker): LiveAnswer {
    return { workers: { [worker.context.id]: this.#liveOf(worker, true) } }
  }

  history(worker: SiteWorker): HistoryAnswer {
    return { workers: { [worker.context.id]: this.#deps.watches.over(worker).history.points } }
  }

  /** Not older than half a second. */
  liveOfApp(worker: SiteWorker): Promise<LiveAnswer> {
    return this.#live.see(worker.context.id, () => this.#liveOfApp(worker))
  }

  /** Likewise. */
  historyOfApp(worker: SiteWorker): Promise<HistoryAnswer> {
    return this.#histories.see(worker.context.id, () => this.#historyOfApp(worker))
  }

  async #liveOfApp(worker: SiteWorker): Promise<LiveAnswer> {
    const { signal } = worker.context
    const workers: Record<string, LiveWorker> = {}
    for (const each of this.#here(worker)) workers[each.context.id] = this.#liveOf(each, each === worker)
    const elsewhere = this.#elsewhere(worker)
    const answers = await this.#deps.peers.ask<LiveAnswer>(addressesOf(elsewhere), '/live/', signal)
    for (const peer of answers) {
      if ('error' in peer) workers[peer.address] = { answers: false, self: false, ...peer }
      else for (const [id, each] of Object.entries(peer.answer.workers)) workers[id] ??= { ...each, self: false }
    }
    for (const [member, address] of elsewhere)
      if (address === undefined) workers[member] = { answers: false, self: false, address, error: NO_SITE }
    return { workers }
  }

  async #historyOfApp(worker: SiteWorker): Promise<HistoryAnswer> {
    const { signal } = worker.context
    const workers: Record<string, readonly HistoryPoint[]> = {}
    for (const each of this.#here(worker)) workers[each.context.id] = this.#deps.watches.over(each).history.points
    const answers = await this.#deps.peers.ask<HistoryAnswer>(addressesOf(this.#elsewhere(worker)), '/history/', signal)
    for (const peer of answers) if ('answer' in peer) Object.assign(workers, peer.answer.workers)
    return { workers }
  }

  #liveOf(worker: SiteWorker, self: boolean): LiveWorker {
    return { answers: true, self, ...this.#deps.watches.over(worker).answer() }
  }

  /** The worker itself first. */
  #here(worker: SiteWorker): readonly SiteWorker[] {
    return [worker, ...this.#deps.workers().filter((other) => other !== worker)]
  }

  /** Addresses of the members of the group that are not in this process, by name; `undefined` where one serves no site. */
  #elsewhere(worker: SiteWorker): ReadonlyMap<string, string | undefined> {
    const here = new Set(this.#here(worker).map((each) => each.assignment().memberId))
    return new Map([...knownMembers(worker.assignment())].filter(([member]) => !here.has(member)))
  }
}

function addressesOf(members: ReadonlyMap<string, string | undefined>): readonly string[] {
  return [...new Set([...members.values()].flatMap((address) => address ?? []))].sort()
}

import { knownMembers, SharedLookups, type SharedLookupsOptions, type SiteApp, type SiteWorker } from '@millrace/web'
import type { HistoryPoint } from './history.ts'
import type { Peer, Peers } from './peers.ts'
import type { Watches, WatchedWorker } from './worker-watch.ts'

const NO_SITE = 'It serves no site (web.enabled), so its state is unknown.'

/** The answer of `/live/`: for the worker that was asked, or for the whole app. */
export interface LiveAnswer {
  /**
   * By worker id; a worker that does not answer is listed by its address, or by its name in the group if it serves no
   * site.
   */
  readonly workers: Readonly<Record<string, LiveWorker>>
}

export type LiveWorker =
  | ({ readonly answers: true; readonly self: boolean } & WatchedWorker)
  | { readonly answers: false; readonly self: false; readonly address: string | undefined; readonly error: string }

/** The answer of `/history/`: the last five minutes, one point a second, by worker id. */
export interface HistoryAnswer {
  readonly workers: Readonly<Record<string, readonly HistoryPoint[]>>
}

/** Statistics of one worker, or of all workers of the app that this worker knows. */
export class AppView {
  readonly #site: SiteApp
  readonly #watches: Watches
  readonly #peers: Peers
  // One request here asks every worker, so concurrent requests here share the requests to the others.
  readonly #live: SharedLookups<LiveAnswer>
  readonly #histories: SharedLookups<HistoryAnswer>

  constructor(site: SiteApp, watches: Watches, peers: Peers) {
    this.#site = site
    this.#watches = watches
    this.#peers = peers
    this.#live = new SharedLookups(perWorker(site))
    this.#histories = new SharedLookups(perWorker(site))
  }

  live(worker: SiteWorker): LiveAnswer {
    return { workers: { [worker.context.id]: this.#liveOf(worker, true) } }
  }

  history(worker: SiteWorker): HistoryAnswer {
    return { workers: { [worker.context.id]: this.#watches.over(worker).history.points } }
  }

  /** At most half a second old. */
  liveOfApp(worker: SiteWorker): Promise<LiveAnswer> {
    return this.#live.get(worker.context.id, () => this.#liveOfApp(worker))
  }

  /** Also at most half a second old. */
  historyOfApp(worker: SiteWorker): Promise<HistoryAnswer> {
    return this.#histories.get(worker.context.id, () => this.#historyOfApp(worker))
  }

  async #liveOfApp(worker: SiteWorker): Promise<LiveAnswer> {
    const workers: Record<string, LiveWorker> = {}
    for (const each of this.#here(worker)) workers[each.context.id] = this.#liveOf(each, each === worker)
    const elsewhere = this.#elsewhere(worker)
    const answers = await this.#peers.ask<LiveAnswer>(worker, peersOf(elsewhere), '/live/')
    for (const peer of answers) {
      if ('error' in peer) workers[peer.address] = { answers: false, self: false, ...peer }
      else for (const [id, each] of Object.entries(peer.answer.workers)) workers[id] ??= { ...each, self: false }
    }
    for (const [member, address] of elsewhere)
      if (address === undefined) workers[member] = { answers: false, self: false, address, error: NO_SITE }
    return { workers }
  }

  async #historyOfApp(worker: SiteWorker): Promise<HistoryAnswer> {
    const workers: Record<string, readonly HistoryPoint[]> = {}
    for (const each of this.#here(worker)) workers[each.context.id] = this.#watches.over(each).history.points
    const answers = await this.#peers.ask<HistoryAnswer>(worker, peersOf(this.#elsewhere(worker)), '/history/')
    for (const peer of answers) if ('answer' in peer) Object.assign(workers, peer.answer.workers)
    return { workers }
  }

  #liveOf(worker: SiteWorker, self: boolean): LiveWorker {
    return { answers: true, self, ...this.#watches.over(worker).answer() }
  }

  /** This worker comes first. */
  #here(worker: SiteWorker): readonly SiteWorker[] {
    return [worker, ...this.#site.workers().filter((other) => other !== worker)]
  }

  /** Addresses of the group's members outside this process, by name; `undefined` for a member that serves no site. */
  #elsewhere(worker: SiteWorker): ReadonlyMap<string, string | undefined> {
    const here = new Set(this.#here(worker).map((each) => each.assignment().memberId))
    return new Map([...knownMembers(worker.assignment())].filter(([member]) => !here.has(member)))
  }
}

/** Limits for lookups that ask each worker in this process separately. Other workers get two seconds to answer. */
export function perWorker({ surroundings: { clock } }: Pick<SiteApp, 'surroundings'>): SharedLookupsOptions {
  return { clock, atATime: 64, limitMs: 10_000, freshMs: 500 }
}

/** One for each address, so that a worker that came back under another name is asked once. */
function peersOf(members: ReadonlyMap<string, string | undefined>): readonly Peer[] {
  const byAddress = new Map(
    [...members].flatMap(([member, address]) => (address === undefined ? [] : [[address, member]])),
  )
  return [...byAddress]
    .map(([address, member]) => ({ address, member }))
    .toSorted((a, b) => (a.address < b.address ? -1 : 1))
}

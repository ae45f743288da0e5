import {
  knownMembers,
  SharedLookups,
  type SharedLookupsOptions,
  type SiteApp,
  type SiteTools,
  type SiteWorker,
} from '@millrace/web'
import type { HistoryPoint } from './history.ts'
import type { Peer, Peers } from './peers.ts'
import { Siblings } from './siblings.ts'
import type { Watches, WatchedWorker } from './worker-watch.ts'

const NO_SITE = 'It serves no site (web.enabled), so its state is unknown.'
const NO_ANSWER = 'It does not answer: it is starting or busy, or has just ended.'

/** The answer of `/live/`: for one process, for all processes that serve this site, or for the whole app. */
export interface LiveAnswer {
  /**
   * By worker id; a worker that does not answer is listed by its address, by its name in the group if it serves no
   * site, or by the number of its process if it belongs to this site.
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

/**
 * Statistics of one worker, of all workers that serve its site together (`processes`), or of all workers of the app that
 * this worker knows.
 */
export class AppView {
  readonly #site: SiteApp
  readonly #watches: Watches
  readonly #peers: Peers
  readonly #siblings: Siblings<LiveWorker>
  readonly #siblingHistories: Siblings<readonly HistoryPoint[]>
  // One request here asks every worker, so concurrent requests here share the requests to the others.
  readonly #live: SharedLookups<LiveAnswer>
  readonly #histories: SharedLookups<HistoryAnswer>

  constructor(tools: SiteTools, watches: Watches, peers: Peers) {
    const { site } = tools
    this.#site = site
    this.#watches = watches
    this.#peers = peers
    this.#siblings = new Siblings(tools, '/live/', (worker) => this.live(worker).workers)
    this.#siblingHistories = new Siblings(tools, '/history/', (worker) => this.history(worker).workers)
    this.#live = new SharedLookups(perWorker(site))
    this.#histories = new SharedLookups(perWorker(site))
  }

  live(worker: SiteWorker): LiveAnswer {
    return { workers: { [worker.context.id]: this.#liveOf(worker, true) } }
  }

  history(worker: SiteWorker): HistoryAnswer {
    return { workers: { [worker.context.id]: this.#watches.over(worker).history.points } }
  }

  /** If the site has several processes, at most half a second old. */
  async liveOfSite(worker: SiteWorker): Promise<LiveAnswer> {
    if (!this.#siblings.any) return this.live(worker)
    return this.#live.get(`site ${worker.context.id}`, () => this.#liveOfSite(worker))
  }

  /** If the site has several processes, at most half a second old. */
  async historyOfSite(worker: SiteWorker): Promise<HistoryAnswer> {
    if (!this.#siblings.any) return this.history(worker)
    return this.#histories.get(`site ${worker.context.id}`, () => this.#historyOfSite(worker))
  }

  /** At most half a second old. */
  liveOfApp(worker: SiteWorker): Promise<LiveAnswer> {
    return this.#live.get(`app ${worker.context.id}`, () => this.#liveOfApp(worker))
  }

  /** Also at most half a second old. */
  historyOfApp(worker: SiteWorker): Promise<HistoryAnswer> {
    return this.#histories.get(`app ${worker.context.id}`, () => this.#historyOfApp(worker))
  }

  async #liveOfSite(worker: SiteWorker): Promise<LiveAnswer> {
    const siblings = await this.#siblings.ask()
    const workers: Record<string, LiveWorker> = { ...this.live(worker).workers, ...asOthers(siblings.workers) }
    for (const process of siblings.missing)
      workers[`process ${process}`] = { answers: false, self: false, address: undefined, error: NO_ANSWER }
    return { workers }
  }

  async #historyOfSite(worker: SiteWorker): Promise<HistoryAnswer> {
    const siblings = await this.#siblingHistories.ask()
    return { workers: { ...this.history(worker).workers, ...siblings.workers } }
  }

  async #liveOfApp(worker: SiteWorker): Promise<LiveAnswer> {
    const siblings = await this.#siblings.ask()
    const workers: Record<string, LiveWorker> = {}
    for (const each of this.#here(worker)) workers[each.context.id] = this.#liveOf(each, each === worker)
    Object.assign(workers, asOthers(siblings.workers))
    // A process that has not answered is asked like any other member of the group.
    const elsewhere = this.#elsewhere(worker, siblings.members)
    const answers = await this.#peers.ask<LiveAnswer>(worker, peersOf(elsewhere), '/live/?of=worker')
    for (const peer of answers) {
      if ('error' in peer) workers[peer.address] = { answers: false, self: false, ...peer }
      else for (const [id, each] of Object.entries(peer.answer.workers)) workers[id] ??= { ...each, self: false }
    }
    for (const [member, address] of elsewhere)
      if (address === undefined) workers[member] = { answers: false, self: false, address, error: NO_SITE }
    return { workers }
  }

  async #historyOfApp(worker: SiteWorker): Promise<HistoryAnswer> {
    const siblings = await this.#siblingHistories.ask()
    const workers: Record<string, readonly HistoryPoint[]> = { ...siblings.workers }
    for (const each of this.#here(worker)) workers[each.context.id] = this.#watches.over(each).history.points
    const elsewhere = peersOf(this.#elsewhere(worker, siblings.members))
    const answers = await this.#peers.ask<HistoryAnswer>(worker, elsewhere, '/history/?of=worker')
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

  /**
   * Addresses of the group's members outside this process, by name; `undefined` for a member that serves no site.
   * `answered`: members that need not be asked any more.
   */
  #elsewhere(worker: SiteWorker, answered: ReadonlySet<string>): ReadonlyMap<string, string | undefined> {
    const here = new Set(this.#here(worker).map((each) => each.assignment().memberId))
    return new Map(
      [...knownMembers(worker.assignment())].filter(([member]) => !here.has(member) && !answered.has(member)),
    )
  }
}

/** Other workers have called themselves `self`. */
function asOthers(workers: Readonly<Record<string, LiveWorker>>): Readonly<Record<string, LiveWorker>> {
  return Object.fromEntries(Object.entries(workers).map(([id, each]) => [id, { ...each, self: false }]))
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

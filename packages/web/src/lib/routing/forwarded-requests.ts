import { type Access, type Caller, SAFE } from '../access/access.ts'
import { withoutSession } from '../access/sessions.ts'
import type { ForwardedRequest } from '../pages/page-context.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'
import { endToEnd } from './forwarder.ts'
import {
  FORWARD_WINDOW_MS,
  type ForwardProblem,
  type SignedRequest,
  signForward,
  verifyForward,
} from './forward-signature.ts'

/** On a request that another worker has passed on: what that worker vouches for, signed. */
const FORWARDED_HEADER = 'millrace-forwarded'
/** Where no secret is known to sign with: it still keeps the request from being passed on again. */
const UNSIGNED = 'unsigned'

/** Nonces that are remembered, twice over. A worker that gets more within two minutes forgets the oldest. */
const MOST_NONCES = 50_000
const WARN_EVERY_MS = 60_000

/** A request that a worker sends to another one. */
export interface ForwardSent {
  readonly request: Request
  /** Address of the other worker's site, as the group has it. */
  readonly to: string
  readonly worker: SiteWorker
  /** Who asked; left out where the worker asks on its own account. */
  readonly client?: Caller | undefined
}

/**
 * Signs requests to other workers, and believes what they say of who asked them first and what that one may. The secret is
 * `web.secret`, or else the group's own. What is not signed rightly counts for nothing: the request is any client's.
 */
export class ForwardedRequests {
  readonly #site: Pick<SiteApp, 'surroundings'>
  readonly #access: Access
  readonly #seen = new NonceMemory()
  #warnedMs = -Infinity

  constructor(site: Pick<SiteApp, 'surroundings'>, access: Access) {
    this.#site = site
    this.#access = access
  }

  /**
   * Whether a worker has sent the request on already, or somebody says so. It is not sent on again then: workers that cannot
   * verify each other's signatures would otherwise pass it to and fro.
   */
  isForwarded(request: Request): boolean {
    return request.headers.has(FORWARDED_HEADER)
  }

  /** What another worker vouches for; `undefined` for a request of a client, or one that cannot be verified. */
  read(request: Request, worker: SiteWorker | undefined): ForwardedRequest | undefined {
    const text = request.headers.get(FORWARDED_HEADER)
    if (text === null || text === UNSIGNED || worker === undefined) return undefined
    const to = worker.address()
    if (to === undefined) return undefined
    const secret = this.#secretOf(worker)
    if (secret === undefined) return undefined
    const { clock } = this.#site.surroundings
    const verified = verifyForward(text, secret, signedRequest(request, worker, to), clock.now())
    if ('problem' in verified) return this.#disbelieve(verified.problem)
    const { nonce, atMs, ...forwardedBy } = verified.forwardedBy
    // One that changes nothing shows what was shown before, however often it is sent.
    if (SAFE.includes(request.method)) return forwardedBy
    // What an earlier process of this worker has seen is forgotten: whatever was signed in its time may be here again.
    if (atMs < worker.startedAt.getTime()) return this.#disbelieve('was signed before this worker started')
    return this.#seen.add(nonce, clock.monotonic()) ? forwardedBy : this.#disbelieve('was here before')
  }

  /**
   * The headers with which a request goes to another worker: its own, without what only the first worker needs where the
   * forwarded request says it all, with the client's address behind those that are there.
   */
  headers({ request, to, worker, client }: ForwardSent): Headers {
    const headers = endToEnd(request.headers)
    headers.delete(FORWARDED_HEADER)
    if (client !== undefined) addForwarded(headers, client)
    const secret = this.#secretOf(worker)
    const from = worker.assignment().memberId
    if (secret === undefined || from === undefined) {
      headers.set(FORWARDED_HEADER, UNSIGNED)
      if (client === undefined)
        for (const [name, value] of Object.entries(this.#access.headers())) headers.set(name, value)
      return headers
    }
    this.#dropCredentials(headers)
    const forwardedBy = { from, ...(client === undefined ? BY_ITSELF : this.#access.vouchFor(client)) }
    const now = this.#site.surroundings.clock.now()
    headers.set(FORWARDED_HEADER, signForward(secret, signedRequest(request, worker, to), forwardedBy, now))
    return headers
  }

  #secretOf(worker: SiteWorker): string | undefined {
    return this.#site.surroundings.settings.web.secret ?? worker.groupSecret()
  }

  /** Of the built-in pages. Cookies and `Authorization` of the app's own pages are theirs. */
  #dropCredentials(headers: Headers): void {
    if (this.#access.hasToken(headers)) headers.delete('authorization')
    const cookies = headers.get('cookie')
    if (cookies === null) return
    const rest = withoutSession(cookies)
    if (rest === '') headers.delete('cookie')
    else headers.set('cookie', rest)
  }

  #disbelieve(problem: ForwardProblem | 'was here before' | 'was signed before this worker started'): undefined {
    const { clock, log } = this.#site.surroundings
    const nowMs = clock.monotonic()
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return
    this.#warnedMs = nowMs
    log.warn(
      { problem, windowMs: FORWARD_WINDOW_MS },
      'A request that says it comes from another worker is not believed: it counts as a client’s. Either somebody has made it up, or the workers differ in web.secret or in their clocks. Told once a minute.',
    )
  }
}

const BY_ITSELF = { peer: undefined, as: 'worker', mayAct: false } as const

function signedRequest({ method, url }: Request, { context }: SiteWorker, to: string): SignedRequest {
  const { pathname, search } = new URL(url)
  return { appId: context.appId, method, target: pathname + search, to }
}

/** As proxies do it: the one at the other end of the connection last; name and scheme are those of the first. */
function addForwarded(headers: Headers, { peer, url }: Caller): void {
  if (peer !== undefined) headers.append('x-forwarded-for', peer.replace(/^::ffff:(?=\d+\.)/i, ''))
  if (!headers.has('x-forwarded-proto')) headers.set('x-forwarded-proto', url.protocol.slice(0, -1))
  if (!headers.has('x-forwarded-host')) headers.set('x-forwarded-host', url.host)
}

/** Remembers nonces for as long as their forwarded requests could be believed: sent by a clock ahead, until a clock behind is past them. */
class NonceMemory {
  #current = new Set<string>()
  #before = new Set<string>()
  #sinceMs = -Infinity

  /** False when it was here before. */
  add(nonce: string, nowMs: number): boolean {
    if (nowMs - this.#sinceMs > 2 * FORWARD_WINDOW_MS || this.#current.size >= MOST_NONCES) {
      this.#before = this.#current
      this.#current = new Set()
      this.#sinceMs = nowMs
    }
    if (this.#current.has(nonce) || this.#before.has(nonce)) return false
    this.#current.add(nonce)
    return true
  }
}

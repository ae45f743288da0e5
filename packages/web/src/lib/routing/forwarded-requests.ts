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

/** Header of a forwarded request: what the sending worker vouches for, signed. */
const FORWARDED_HEADER = 'millrace-forwarded'
/** Header used when there is no secret to sign with; it still prevents forwarding the request again. */
const UNSIGNED = 'unsigned'

/** Nonces kept in each of two generations. If more arrive within two minutes, the oldest are forgotten. */
const MOST_NONCES = 50_000
const WARN_EVERY_MS = 60_000

/** A request from one worker to another. */
export interface ForwardSent {
  readonly request: Request
  /** Address of the other worker's site, as the group has it. */
  readonly to: string
  readonly worker: SiteWorker
  /** The client that asked; omitted if the worker asks on its own account. */
  readonly client?: Caller | undefined
}

/**
 * Signs requests to other workers, and verifies their claims about who asked first and what that client may do. The
 * secret is `web.secret`, or otherwise the group's own. A request without a valid signature is treated as a client's.
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
   * Whether the request claims to be forwarded already, verified or not. It is then never forwarded again: workers that
   * cannot verify each other's signatures would otherwise pass it back and forth.
   */
  isForwarded(request: Request): boolean {
    return request.headers.has(FORWARDED_HEADER)
  }

  /** What another worker vouches for; `undefined` for a client's request, or if it cannot be verified. */
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
    // Replaying a request that changes nothing only repeats an answer.
    if (SAFE.includes(request.method)) return forwardedBy
    // Nonces seen before this process started are lost, so a request signed before then may be a replay.
    if (atMs < worker.startedAt.getTime()) return this.#disbelieve('was signed before this worker started')
    return this.#seen.add(nonce, clock.monotonic()) ? forwardedBy : this.#disbelieve('was here before')
  }

  /**
   * The headers of a request to another worker: the client's own, without those that only the first worker needs if the
   * forwarded request covers them, and with the client's address appended.
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

  /**
   * Removes the session and token of the built-in pages. Cookies and `Authorization` of the app's own pages are kept.
   */
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
      'A request that says it comes from another worker is not believed: it counts as a client’s. Either somebody has made it up, or the workers differ in web.secret or in their clocks. Logged at most once a minute.',
    )
  }
}

const BY_ITSELF = { peer: undefined, as: 'worker', mayAct: false } as const

function signedRequest({ method, url }: Request, { context }: SiteWorker, to: string): SignedRequest {
  const { pathname, search } = new URL(url)
  return { appId: context.appId, method, target: pathname + search, to }
}

/** As proxies do: appends the peer of the connection, and keeps the first name and scheme. */
function addForwarded(headers: Headers, { peer, url }: Caller): void {
  if (peer !== undefined) headers.append('x-forwarded-for', peer.replace(/^::ffff:(?=\d+\.)/i, ''))
  if (!headers.has('x-forwarded-proto')) headers.set('x-forwarded-proto', url.protocol.slice(0, -1))
  if (!headers.has('x-forwarded-host')) headers.set('x-forwarded-host', url.host)
}

/**
 * Remembers nonces for as long as their requests could be believed: from a clock that is ahead until a clock that is
 * behind has passed them.
 */
class NonceMemory {
  #current = new Set<string>()
  #before = new Set<string>()
  #sinceMs = -Infinity

  /** False if the nonce was seen before. */
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

import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { ForwardedRequest, PageContext } from '../pages/page-context.ts'
import type { SiteApp } from '../site-app.ts'
import { Guesses } from './guesses.ts'
import { hasSession, isSame } from './sessions.ts'

const LOCAL_NAMES = ['localhost', '127.0.0.1', '[::1]']
const LOOPBACK = ['127.0.0.1', '::1']
/** Headers that proxies add: the peer is then not the client. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

/** What a request that changes the application must carry: no form and no image of another site can. */
const ACTION_HEADER = 'millrace-action'

const OF_ANOTHER_SITE = 'The request comes from another site, or under a name that web.hosts does not have.'
/** These change nothing. */
export const SAFE: readonly string[] = ['GET', 'HEAD', 'OPTIONS']

/** Who is asking: what counts of a request. */
export type Caller = Pick<PageContext, 'request' | 'url' | 'peer' | 'forwardedBy'>

/** How a caller was recognised, or why it was not. */
export type Admission =
  | { readonly as: NonNullable<ForwardedRequest['as']> }
  | { readonly as: undefined; readonly reason: string }

/** Whether actions are on for the caller, and if not, why. */
export type ActionRight = { readonly on: true } | { readonly on: false; readonly reason: string }

/**
 * Who may see what pages show of the data, and act. With `web.token`: whoever has it, as a bearer token or as the session of
 * a browser that has signed in with it. Without: this machine alone. What another worker has passed on, it has decided.
 */
export class Access {
  readonly guesses: Guesses
  readonly #site: Pick<SiteApp, 'surroundings'>
  readonly #admissions = new WeakMap<URL, Admission>()

  constructor(site: Pick<SiteApp, 'surroundings'>) {
    this.#site = site
    this.guesses = new Guesses(site)
  }

  get token(): string | undefined {
    return this.#site.surroundings.settings.web.token
  }

  /**
   * As `admit`, where a page asks for the token: a wrong one is counted. Throws a `PageError` 429 where too many have come
   * from the address.
   */
  admitCounted(caller: Caller): Admission {
    const { token, guesses } = this
    const { request, peer, forwardedBy } = caller
    const bearer = bearerOf(request.headers)
    if (token === undefined || bearer === undefined || forwardedBy !== undefined || this.#hasSession(request, token))
      return this.admit(caller)
    guesses.check(peer)
    const admission = this.admit(caller)
    if (admission.as === undefined) guesses.isWrong(peer, bearer, 'bearer')
    return admission
  }

  /** Found out once for a request, by its URL: that is one object from the first page that asks to the last. */
  admit(caller: Caller): Admission {
    const known = this.#admissions.get(caller.url) ?? this.#admissionOf(caller)
    this.#admissions.set(caller.url, known)
    return known
  }

  #admissionOf(caller: Caller): Admission {
    const { token } = this
    const { forwardedBy } = caller
    if (forwardedBy !== undefined)
      return forwardedBy.as === undefined
        ? { as: undefined, reason: `Worker ${forwardedBy.from}, which was asked first, does not let this client in.` }
        : { as: forwardedBy.as }
    if (token === undefined) {
      if (!isFromHere(caller))
        return {
          as: undefined,
          reason: 'This page answers this machine only: set web.token (MILLRACE_WEB_TOKEN) to let others in.',
        }
      // A page of another site may have made a browser of this machine send it.
      return this.#isOfAnotherSite(caller) && !isNavigation(caller.request)
        ? { as: undefined, reason: OF_ANOTHER_SITE }
        : { as: 'this machine' }
    }
    const { headers } = caller.request
    if (this.hasToken(headers)) return { as: 'token' }
    if (this.#hasSession(caller.request, token)) return { as: 'session' }
    return {
      as: undefined,
      reason:
        bearerOf(headers) === undefined ? 'This page asks for the token (web.token).' : 'The token is another one.',
    }
  }

  #hasSession({ headers }: Request, token: string): boolean {
    return hasSession(headers.get('cookie'), token, this.#site.surroundings.clock.now())
  }

  /** Whoever is let in may act, unless `web.admin` is off. */
  mayAct(caller: Caller): ActionRight {
    if (this.#site.surroundings.settings.web.admin === false)
      return { on: false, reason: 'Actions are switched off (web.admin).' }
    const { forwardedBy } = caller
    if (forwardedBy !== undefined)
      return forwardedBy.mayAct
        ? { on: true }
        : { on: false, reason: `Worker ${forwardedBy.from}, which was asked first, would not carry it out.` }
    const admission = this.admit(caller)
    return admission.as === undefined ? { on: false, reason: admission.reason } : { on: true }
  }

  /** Whether this very request may act: also that no page of another site has made a browser send it. */
  mayActBy(caller: Caller): ActionRight {
    const right = this.mayAct(caller)
    // The worker that was asked first has looked at the rest.
    if (!right.on || caller.forwardedBy !== undefined) return right
    // A browser shows its session, and that it runs on this machine, to every site that asks it to; a token it does not.
    if (this.admit(caller).as !== 'token' && this.#isOfAnotherSite(caller))
      return { on: false, reason: OF_ANOTHER_SITE }
    if (!caller.request.headers.has(ACTION_HEADER))
      return { on: false, reason: `An action needs the header ${ACTION_HEADER}, with any value.` }
    return right
  }

  /** What this worker tells another one of a client whose request it passes on. */
  vouchFor(caller: Caller): Omit<ForwardedRequest, 'from'> {
    return { peer: caller.peer, as: this.admit(caller).as, mayAct: this.mayActBy(caller).on }
  }

  /** Whether `Authorization` is the token of the built-in pages. */
  hasToken(headers: Headers): boolean {
    const bearer = bearerOf(headers)
    return this.token !== undefined && bearer !== undefined && isSame(bearer, this.token)
  }

  /** For a request to a worker with which there is no secret to sign it. */
  headers(): Readonly<Record<string, string>> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }
  }

  /**
   * Whether a browser may have been made to send the request by a page of another site. The request's own host name says
   * nothing: a name elsewhere may lead here. Names of the site are those of this machine and of `web.hosts`.
   */
  #isOfAnotherSite({ request }: Caller): boolean {
    const site = request.headers.get('sec-fetch-site')
    // `none`: a person has typed the address, or chosen a bookmark. No page does that, but none of them acts, either.
    if (site !== null && site !== 'same-origin' && !(site === 'none' && SAFE.includes(request.method))) return true
    const origin = request.headers.get('origin')
    return origin !== null && !(URL.canParse(origin) && this.#isOwnName(new URL(origin)))
  }

  #isOwnName({ protocol, hostname, host }: URL): boolean {
    // The host name of `file:` is empty.
    if (!/^https?:$/.test(protocol)) return false
    const { hosts = '', advertise } = this.#site.surroundings.settings.web
    const named = hosts.split(',').map((name) => name.trim().toLowerCase())
    return isLocalName(hostname) || named.includes(hostname) || named.includes(host) || advertise === host
  }
}

/** A browser that follows a link, or goes where it is sent: the answer is shown to a person, and to no page. */
function isNavigation({ method, headers }: Request): boolean {
  return (
    SAFE.includes(method) &&
    headers.get('sec-fetch-mode') === 'navigate' &&
    headers.get('sec-fetch-dest') === 'document' &&
    !headers.has('origin')
  )
}

function bearerOf(headers: Headers): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1]
}

/**
 * From this machine to this machine, also from and to its own outside addresses. The host name in the request must be
 * local too: otherwise a page elsewhere whose name resolves to this machine could read the answers. An address as a host
 * cannot be such a name.
 */
function isFromHere({ request, url, peer }: Caller): boolean {
  return (
    peer !== undefined &&
    isOwnAddress(peer) &&
    isLocalName(url.hostname) &&
    !FORWARDED.some((name) => request.headers.has(name))
  )
}

function isLocalName(hostname: string): boolean {
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  return LOCAL_NAMES.includes(hostname) || (isIP(address) !== 0 && isOwnAddress(address))
}

function isOwnAddress(text: string): boolean {
  const address = text.replace(/^::ffff:/, '')
  // The system is asked for its addresses only where it may be one of them: that takes as long as the rest of a small page.
  if (LOOPBACK.includes(address)) return true
  return Object.values(networkInterfaces()).some((each) => each?.some((one) => one.address === address))
}

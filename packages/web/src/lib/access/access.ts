import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { ForwardedRequest, PageContext } from '../pages/page-context.ts'
import type { SiteApp } from '../site-app.ts'
import { Guesses } from './guesses.ts'
import { hasSession, isSame } from './sessions.ts'

const LOCAL_NAMES = ['localhost', '127.0.0.1', '[::1]']
const LOOPBACK = ['127.0.0.1', '::1']
/** Headers that proxies add. With one of them, the peer is a proxy rather than the client. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

/** Required on requests that change the application: a form or an image on another site cannot set a header. */
const ACTION_HEADER = 'millrace-action'

const OF_ANOTHER_SITE = 'The request comes from another site, or under a name that web.hosts does not have.'
/** Methods that change nothing. */
export const SAFE: readonly string[] = ['GET', 'HEAD', 'OPTIONS']

/** The parts of a request that identify its caller. */
export type Caller = Pick<PageContext, 'request' | 'url' | 'peer' | 'forwardedBy'>

/** How a caller was recognised, or why it was refused. */
export type Admission =
  | { readonly as: NonNullable<ForwardedRequest['as']> }
  | { readonly as: undefined; readonly reason: string }

/** Whether the caller may carry out actions, and if not, why. */
export type ActionRight = { readonly on: true } | { readonly on: false; readonly reason: string }

/**
 * Decides who may see the application's data and who may act. With `web.token`, callers need the token, either as a
 * bearer token or through a browser session. Without it, only this machine is let in. For a forwarded request, the
 * worker that received it first has decided.
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
   * As `admit`, for pages that ask for the token; counts wrong tokens. Throws a `PageError` 429 after too many from one
   * address.
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

  /** Keyed by the request's URL, which stays the same object for the whole request, so each request is checked once. */
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
      // A page on another site may have made a browser on this machine send the request.
      return this.#isOfAnotherSite(caller) && !isNavigation(caller.request)
        ? { as: undefined, reason: OF_ANOTHER_SITE }
        : { as: 'this machine' }
    }
    const { headers } = caller.request
    if (this.hasToken(headers)) return { as: 'token' }
    if (this.#hasSession(caller.request, token)) return { as: 'session' }
    return {
      as: undefined,
      reason: bearerOf(headers) === undefined ? 'This page asks for the token (web.token).' : 'The token is wrong.',
    }
  }

  #hasSession({ headers }: Request, token: string): boolean {
    return hasSession(headers.get('cookie'), token, this.#site.surroundings.clock.now())
  }

  /** A caller who is let in may act, unless `web.admin` is off. */
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

  /** Whether this request may act; refuses requests that a page on another site may have made a browser send. */
  mayActBy(caller: Caller): ActionRight {
    const right = this.mayAct(caller)
    return right.on ? this.#refuseOtherSites(caller) : right
  }

  /** Whether this request may ask an agent: as `mayActBy`, but whatever `web.admin` says, because the agent allows it. */
  mayAskBy(caller: Caller): ActionRight {
    const admission = this.admit(caller)
    return admission.as === undefined ? { on: false, reason: admission.reason } : this.#refuseOtherSites(caller)
  }

  #refuseOtherSites(caller: Caller): ActionRight {
    // The worker that received the request first has checked it.
    if (caller.forwardedBy !== undefined) return { on: true }
    // A browser attaches its session, and its presence on this machine, to requests from any site, but never a bearer
    // token.
    if (this.admit(caller).as !== 'token' && this.#isOfAnotherSite(caller))
      return { on: false, reason: OF_ANOTHER_SITE }
    if (!caller.request.headers.has(ACTION_HEADER))
      return { on: false, reason: `An action needs the header ${ACTION_HEADER}, with any value.` }
    return { on: true }
  }

  /** What this worker vouches for when it forwards a client's request. */
  vouchFor(caller: Caller): Omit<ForwardedRequest, 'from'> {
    return { peer: caller.peer, as: this.admit(caller).as, mayAct: this.mayActBy(caller).on }
  }

  /** Whether `Authorization` carries the token of the built-in pages. */
  hasToken(headers: Headers): boolean {
    const bearer = bearerOf(headers)
    return this.token !== undefined && bearer !== undefined && isSame(bearer, this.token)
  }

  /** Used when the workers share no secret for signing. */
  headers(): Readonly<Record<string, string>> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }
  }

  /**
   * Whether a page on another site may have made a browser send the request. The request's own host name proves
   * nothing, because a name elsewhere may resolve to this machine. The site's own names are those of this machine and
   * of `web.hosts`.
   */
  #isOfAnotherSite({ request }: Caller): boolean {
    const site = request.headers.get('sec-fetch-site')
    // `none` means that a person typed the address or chose a bookmark. Navigation of that kind is never an action.
    if (site !== null && site !== 'same-origin' && !(site === 'none' && SAFE.includes(request.method))) return true
    const origin = request.headers.get('origin')
    return origin !== null && !(URL.canParse(origin) && this.#isOwnName(new URL(origin)))
  }

  #isOwnName({ protocol, hostname, host }: URL): boolean {
    // The host name of a `file:` URL is empty.
    if (!/^https?:$/.test(protocol)) return false
    const { hosts = '', advertise } = this.#site.surroundings.settings.web
    const named = hosts.split(',').map((name) => name.trim().toLowerCase())
    return isLocalName(hostname) || named.includes(hostname) || named.includes(host) || advertise === host
  }
}

/** A browser that follows a link or a redirect shows the answer to a person, not to the linking page. */
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
 * Whether the request goes from this machine to this machine; this machine's external addresses count too. The
 * requested host must be local as well: otherwise a page elsewhere whose name resolves to this machine could read the
 * answers. An IP address cannot be such a name.
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
  // Listing this machine's addresses takes as long as the rest of a small page, so it happens only if the peer may be
  // local.
  if (LOOPBACK.includes(address)) return true
  return Object.values(networkInterfaces()).some((each) => each?.some((one) => one.address === address))
}

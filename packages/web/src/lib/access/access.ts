import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { PageContext } from '../pages/page-context.ts'
import type { SiteApp } from '../site-app.ts'
import { hasSession, isSame } from './sessions.ts'

const LOCAL_NAMES = ['localhost', '127.0.0.1', '[::1]']
const LOOPBACK = ['127.0.0.1', '::1']
/** Headers that proxies add: the peer is then not the client. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

/** Who is asking: what counts of a request. */
export type Caller = Pick<PageContext, 'request' | 'url' | 'peer'>

/** How a caller was recognised, or why it was not. */
export type Admission =
  | { readonly as: 'token' | 'session' | 'this machine' }
  | { readonly as: undefined; readonly reason: string }

/** Whether actions are on for the caller, and if not, why. */
export type ActionRight = { readonly on: true } | { readonly on: false; readonly reason: string }

/**
 * Who may see what pages show of the data, and act. With `web.token`: whoever has it, as a bearer token or as the session of
 * a browser that has signed in with it. Without: this machine alone.
 */
export class Access {
  readonly #site: Pick<SiteApp, 'surroundings'>

  constructor(site: Pick<SiteApp, 'surroundings'>) {
    this.#site = site
  }

  get token(): string | undefined {
    return this.#site.surroundings.settings.web.token
  }

  admit(caller: Caller): Admission {
    const { token } = this
    if (token === undefined)
      return isFromHere(caller)
        ? { as: 'this machine' }
        : {
            as: undefined,
            reason: 'This page answers this machine only: set web.token (MILLRACE_WEB_TOKEN) to let others in.',
          }
    const { headers } = caller.request
    const bearer = /^Bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1]
    if (bearer !== undefined && isSame(bearer, token)) return { as: 'token' }
    if (hasSession(headers.get('cookie'), token, this.#site.surroundings.clock.now())) return { as: 'session' }
    return {
      as: undefined,
      reason: bearer === undefined ? 'This page asks for the token (web.token).' : 'The token is another one.',
    }
  }

  /** Whoever is let in may act, unless `web.admin` is off. */
  mayAct(caller: Caller): ActionRight {
    if (this.#site.surroundings.settings.web.admin === false)
      return { on: false, reason: 'Actions are switched off (web.admin).' }
    const admission = this.admit(caller)
    return admission.as === undefined ? { on: false, reason: admission.reason } : { on: true }
  }

  /** For requests to other workers of the app, which ask for the same token. */
  headers(): Readonly<Record<string, string>> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }
  }

  /**
   * Whether a browser may have been made to send the request by a page of another site. The request's own host name says
   * nothing: a name elsewhere may lead here. Names of the site are those of this machine and of `web.hosts`.
   */
  isOfAnotherSite({ request }: Caller): boolean {
    const site = request.headers.get('sec-fetch-site')
    if (site !== null && site !== 'same-origin') return true
    const origin = request.headers.get('origin')
    return origin !== null && !(URL.canParse(origin) && this.#isOwnName(new URL(origin)))
  }

  #isOwnName({ hostname, host }: URL): boolean {
    const { hosts = '', advertise } = this.#site.surroundings.settings.web
    const named = hosts.split(',').map((name) => name.trim().toLowerCase())
    return isLocalName(hostname) || named.includes(hostname) || named.includes(host) || advertise === host
  }
}

/**
 * From this machine to this machine: also from and to its own outside addresses, since workers pass requests on to each
 * other. The host name in the request must be local too: otherwise a page elsewhere whose name resolves to this machine
 * could read the answers. An address as a host cannot be such a name.
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
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  return LOOPBACK.includes(address) || own.some((each) => each.address === address)
}

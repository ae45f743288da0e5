import { networkInterfaces } from 'node:os'
import { PageError } from '../pages/page-error.ts'
import type { PageContext, PageHandler } from '../pages/page-context.ts'
import { View, type ViewClass } from '../pages/view.ts'
import type { SiteApp } from '../site-app.ts'

/** What a request that changes the application must carry: no form and no image of another site can. */
const ACTION_HEADER = 'millrace-action'

const LOCAL_NAMES = new Set(['localhost', '127.0.0.1', '[::1]'])
const LOOPBACK = ['127.0.0.1', '::1']
/** Headers that proxies add: the peer is then not the client. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/** Whether actions are on for the client, and if not, why. */
export type ActionRight = { readonly on: true } | { readonly on: false; readonly reason: string }

/**
 * Actions are on where `web.admin` says so. Where it says nothing they are on for the embedded broker and requests from this
 * machine to this machine: also from its own outside address, since workers pass requests on to each other. The host name
 * in the request must be local too: otherwise a page elsewhere whose name resolves to this machine could act.
 */
export function adminFor(
  c: Pick<PageContext, 'request' | 'peer' | 'url'>,
  site: Pick<SiteApp, 'surroundings' | 'describe'>,
): ActionRight {
  const { admin } = site.surroundings.settings.web
  if (admin !== undefined) return admin ? { on: true } : { on: false, reason: 'Actions are switched off (web.admin).' }
  if (!isLocalBroker(site.describe().broker))
    return { on: false, reason: 'Actions are off: set web.admin to true to allow them.' }
  const isLocal =
    c.peer !== undefined &&
    isOfThisMachine(c.peer) &&
    LOCAL_NAMES.has(c.url.hostname) &&
    !FORWARDED.some((name) => c.request.headers.has(name))
  return isLocal
    ? { on: true }
    : { on: false, reason: 'Actions are on for localhost only: set web.admin to true to allow them from elsewhere.' }
}

/** The embedded broker: nobody else uses it. */
export function isLocalBroker(broker: string): boolean {
  return /^(embedded|memory):/.test(broker)
}

function isOfThisMachine(peer: string): boolean {
  const address = peer.replace(/^::ffff:/, '')
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  return LOOPBACK.includes(address) || own.some((each) => each.address === address)
}

/** A page that changes something: takes POST from pages of this site and from programs, if actions are on for them. */
export function action(site: Pick<SiteApp, 'surroundings' | 'describe'>, work: PageHandler): ViewClass {
  return class Action extends View {
    override async post(c: PageContext): Promise<Response> {
      const foreign = crossSite(c)
      if (foreign !== undefined) throw new PageError(403, foreign)
      const admin = adminFor(c, site)
      if (!admin.on) throw new PageError(403, admin.reason)
      return work(c)
    }
  }
}

/** Why a request is refused that seems to come from another site; `undefined` when it does not. */
function crossSite({ request, url }: Pick<PageContext, 'request' | 'url'>): string | undefined {
  const site = request.headers.get('sec-fetch-site')
  if (site !== null && site !== 'same-origin') return 'The request comes from another site.'
  const origin = request.headers.get('origin')
  if (origin !== null && hostOf(origin) !== url.host) return 'The request comes from another site.'
  if (!request.headers.has(ACTION_HEADER)) return `An action needs the header ${ACTION_HEADER}, with any value.`
  return undefined
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

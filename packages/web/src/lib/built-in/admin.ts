import { networkInterfaces } from 'node:os'
import { PageError } from '../pages/page-error.ts'
import type { PageContext, PageHandler } from '../pages/page-context.ts'
import { View, type ViewClass } from '../pages/view.ts'
import type { SiteApp } from '../site-app.ts'

/** What a request that changes the application must carry: no form and no image of another site can. */
const ACTION_HEADER = 'millrace-action'

const LOCAL_NAMES = new Set(['localhost', '127.0.0.1', '[::1]'])
const LOOPBACK = ['127.0.0.1', '::1']
/** Added by proxies: the client is then not the one at the other end. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/** Whether actions are on for whoever asks, and if not, why. */
export type Admin = { readonly on: true } | { readonly on: false; readonly reason: string }

/**
 * Actions are on where `web.admin` says so; where it says nothing, for the embedded broker and requests that come from this
 * machine to this machine: from an address of its own, too, since another worker here passes on what was asked there. The
 * name that was asked for counts as well: a page elsewhere whose name leads here is not local.
 */
export function adminFor(
  c: Pick<PageContext, 'request' | 'peer' | 'url'>,
  site: Pick<SiteApp, 'surroundings' | 'describe'>,
): Admin {
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

/** A page that changes something: takes POST, from this site, of those who may act. */
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

/** Why a request does not come from a page of this site, or from a program; `undefined` when it does. */
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

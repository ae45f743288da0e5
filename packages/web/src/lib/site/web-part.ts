import { networkInterfaces } from 'node:os'
import { type Logger, toError } from '@millrace/core'
import type { WebDriver } from '@millrace/core/http'
import type { WorkerContext, WorkerPart } from '@millrace/worker'
import type { SiteWorker } from '../site-app.ts'
import { SiteListener, type SiteListenerContext } from './site-listener.ts'
import type { Site } from './site.ts'

const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

export interface WebPartContext {
  readonly site: Site
  readonly driver: WebDriver
  /** The worker that the part belongs to. */
  readonly worker: () => SiteWorker
  readonly log: Logger
}

export interface WebPartSettings {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** Of a second listener, which then has the built-in pages, and is where other workers come; 0 takes any free one. */
  readonly adminPort?: number | undefined
  /** Default `host`. */
  readonly adminHost?: string | undefined
  readonly advertise: string | undefined
  /** What pages that show data ask for; left out, they answer this machine only. */
  readonly token?: string | undefined
  readonly maxConnections: number
  /** How long requests in flight may take when the worker stops; less when it has less time left. */
  readonly graceMs: number
}

/** A worker's web server, or two. */
export interface WebPart extends WorkerPart {
  /** Host and port for other workers; `undefined` until it listens and after it has stopped. For the worker's `webAddress`. */
  address(): string | undefined
  /** For a person at this machine; `undefined` likewise. */
  url(): string | undefined
}

/**
 * Serves a site for one worker: it listens from `declare` on, so that probes see it live while it connects to the broker,
 * and its address is known before the worker joins. `start` rejects with `PORT_IN_USE` or `SETTING_INVALID`.
 *
 * @example
 * const web = webPart({ site, driver: honoDriver(), worker: () => siteWorker, log }, { ...settings.web, graceMs: 10_000 })
 * createWorker({ …, parts: [agents, web], webAddress: () => web.address() })
 */
export function webPart(deps: WebPartContext, settings: WebPartSettings): WebPart {
  const { site, log } = deps
  let opening: Promise<SiteListeners> | undefined
  let listeners: SiteListeners | undefined
  const { host, adminHost = host, adminPort, advertise } = settings
  const innerHost = adminPort === undefined ? host : adminHost
  return {
    name: 'web',
    declare(worker: WorkerContext) {
      const serving = openListeners({ ...deps, clock: worker.clock }, settings)
      opening = serving
      serving.then(
        (opened) => {
          // It may have been stopped meanwhile.
          if (opening === serving) listeners = opened
        },
        (thrown: unknown) => worker.fail(toError(thrown)),
      )
    },
    async start() {
      await opening
      site.watch(deps.worker())
      if (listeners === undefined) return
      const { outer, inner } = listeners
      const pages = outer === inner ? {} : { pages: localUrl({ host, port: outer.port, scheme: outer.scheme }) }
      log.info({ url: this.url(), ...pages, address: this.address() }, 'The site is served.')
      if (settings.token === undefined && !LOOPBACK.includes(innerHost))
        log.info({}, 'Pages that show data answer this machine only: set web.token to let others in.')
    },
    ready() {},
    async stop(signal) {
      const closing = opening
      opening = undefined
      listeners = undefined
      site.unwatch(deps.worker())
      const opened = await closing?.catch(known)
      const close = async (graceMs: number): Promise<void> => {
        await Promise.all([opened?.outer.close(graceMs), opened?.inner.close(graceMs)])
      }
      // The shortest grace counts.
      signal?.addEventListener('abort', () => void close(0), { once: true })
      await close(settings.graceMs)
      await site.close()
    },
    address() {
      const inner = listeners?.inner
      return inner && ownAddress({ host: innerHost, port: inner.port, scheme: inner.scheme, advertise })
    },
    url() {
      const inner = listeners?.inner
      return inner && localUrl({ host: innerHost, port: inner.port, scheme: inner.scheme })
    },
  }
}

/** Of one worker. */
interface SiteListeners {
  /** For everybody. */
  readonly outer: SiteListener
  /** With all pages, for operators and other workers; the same where there is no `adminPort`. */
  readonly inner: SiteListener
}

async function openListeners(context: SiteListenerContext, settings: WebPartSettings): Promise<SiteListeners> {
  const { host, port, adminPort, adminHost = host, maxConnections } = settings
  const outer = await SiteListener.open(context, {
    address: { host, port },
    maxConnections,
    pages: adminPort === undefined ? 'all' : 'public',
  })
  if (adminPort === undefined) return { outer, inner: outer }
  try {
    const names = { host: 'web.adminHost', port: 'web.adminPort' }
    const address = { host: adminHost, port: adminPort, settings: names }
    return { outer, inner: await SiteListener.open(context, { address, maxConnections, pages: 'all' }) }
  } catch (error) {
    await outer.close(0)
    throw error
  }
}

/** The worker has failed with it already. */
function known(): undefined {
  return undefined
}

/** Where a worker listens, and what its settings say of how others reach it. */
export interface BoundAddress {
  readonly host: string
  readonly port: number
  /** Default http. */
  readonly scheme?: 'http' | 'https'
  /** `web.advertise`. */
  readonly advertise: string | undefined
}

const EVERYWHERE = ['0.0.0.0', '::', '']

/**
 * Where other workers reach this one: as advertised, with the bound port where none is named; else the address it is bound
 * to; else, bound to all of them, the first IPv4 address that is not internal. Host and port, with `https://` before them
 * where that is served.
 */
export function ownAddress(
  { host, port, scheme = 'http', advertise }: BoundAddress,
  interfaces?: ReturnType<typeof networkInterfaces>,
): string {
  const reached = (address: string): string => (scheme === 'https' ? `https://${address}` : address)
  if (advertise !== undefined && /^https?:\/\//.test(advertise)) return advertise
  if (advertise !== undefined) return reached(hasPort(advertise) ? advertise : `${bracketed(advertise)}:${port}`)
  if (!EVERYWHERE.includes(host)) return reached(`${bracketed(host)}:${port}`)
  const outside = Object.values(interfaces ?? networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  return reached(`${outside?.address ?? '127.0.0.1'}:${port}`)
}

/** For a person at this machine. */
export function localUrl({ host, port, scheme = 'http' }: Omit<BoundAddress, 'advertise'>): string {
  return `${scheme}://${EVERYWHERE.includes(host) ? 'localhost' : bracketed(host)}:${port}/`
}

function hasPort(address: string): boolean {
  return /^(\[[^\]]*\]|[^:]*):\d+$/.test(address)
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

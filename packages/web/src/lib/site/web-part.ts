import { networkInterfaces } from 'node:os'
import { type Logger, toError } from '@millrace/core'
import type { ServeAddress, WebDriver } from '@millrace/core/http'
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
  /** 0 takes any free port. */
  readonly port: number
  /** Port of a second listener, for the built-in pages and for other workers; 0 takes any free port. */
  readonly adminPort?: number | undefined
  /** Default `host`. */
  readonly adminHost?: string | undefined
  /**
   * Port of a listener for other workers, which this process does not share, if it is one of several (`processes`); 0
   * takes any free port.
   */
  readonly ownPort?: number | undefined
  readonly advertise: string | undefined
  /** The token that pages with data ask for; if omitted, they answer this machine only. */
  readonly token?: string | undefined
  readonly maxConnections: number
  /** How long requests in flight may take when the worker stops; shorter if the worker has less time left. */
  readonly graceMs: number
}

/** A worker's web server, or two of them. */
export interface WebPart extends WorkerPart {
  /** Host and port for other workers; `undefined` while it does not listen. For the worker's `webAddress`. */
  address(): string | undefined
  /** URL for a person at this machine; likewise `undefined` while it does not listen. */
  url(): string | undefined
}

/**
 * Serves a site for one worker. It listens from `declare` on, so that probes see it live while it connects to the
 * broker, and its address is known before the worker joins. `start` rejects with `PORT_IN_USE` or `SETTING_INVALID`.
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
      site.open()
      const serving = openListeners({ ...deps, clock: worker.clock }, settings)
      opening = serving
      serving.then(
        (opened) => {
          // The part may have been stopped in the meantime.
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
        await Promise.all([opened?.outer.close(graceMs), opened?.inner.close(graceMs), opened?.own.close(graceMs)])
      }
      // The shortest grace applies.
      signal?.addEventListener('abort', () => void close(0), { once: true })
      await close(settings.graceMs)
      await site.close()
    },
    address() {
      const own = listeners?.own
      return own && ownAddress({ host: innerHost, port: own.port, scheme: own.scheme, advertise })
    },
    url() {
      const inner = listeners?.inner
      return inner && localUrl({ host: innerHost, port: inner.port, scheme: inner.scheme })
    },
  }
}

/** The listeners of one worker. */
interface SiteListeners {
  /** The listener for everyone. */
  readonly outer: SiteListener
  /** The listener with all pages, for operators; the same as the first without `adminPort`. */
  readonly inner: SiteListener
  /** The listener for other workers; the same as the second in a process alone. */
  readonly own: SiteListener
}

async function openListeners(context: SiteListenerContext, settings: WebPartSettings): Promise<SiteListeners> {
  const { host, port, adminPort, adminHost = host, ownPort, maxConnections } = settings
  const opened: SiteListener[] = []
  const open = async (address: ServeAddress, pages: 'all' | 'public'): Promise<SiteListener> => {
    const listener = await SiteListener.open(context, { address, maxConnections, pages })
    opened.push(listener)
    return listener
  }
  try {
    const outer = await open({ host, port }, adminPort === undefined ? 'all' : 'public')
    const names = { host: 'web.adminHost', port: 'web.adminPort' }
    const inner =
      adminPort === undefined ? outer : await open({ host: adminHost, port: adminPort, settings: names }, 'all')
    const ownNames = { host: adminPort === undefined ? 'web.host' : 'web.adminHost', port: 'web.processPort' }
    const ownHost = adminPort === undefined ? host : adminHost
    const own =
      ownPort === undefined
        ? inner
        : await open({ host: ownHost, port: ownPort, exclusive: true, settings: ownNames }, 'all')
    return { outer, inner, own }
  } catch (error) {
    await Promise.all(opened.map((listener) => listener.close(0)))
    throw error
  }
}

/** The worker has already failed with this error. */
function known(): undefined {
  return undefined
}

/** Where a worker listens, and how its settings say others reach it. */
export interface BoundAddress {
  readonly host: string
  readonly port: number
  /** Default http. */
  readonly scheme?: 'http' | 'https'
  /** The setting `web.advertise`. */
  readonly advertise: string | undefined
}

const EVERYWHERE = ['0.0.0.0', '::', '']

/**
 * Where other workers reach this one: the advertised address, with the bound port if it names none; otherwise the bound
 * address; otherwise, if bound to all addresses, the first IPv4 address that is not internal. Host and port, with
 * `https://` in front over TLS.
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

/** URL for a person at this machine. */
export function localUrl({ host, port, scheme = 'http' }: Omit<BoundAddress, 'advertise'>): string {
  return `${scheme}://${EVERYWHERE.includes(host) ? 'localhost' : bracketed(host)}:${port}/`
}

function hasPort(address: string): boolean {
  return /^(\[[^\]]*\]|[^:]*):\d+$/.test(address)
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

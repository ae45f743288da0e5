import { type Clock, errorText, type Logger, MillraceError } from '@millrace/core'
import type { ServeAddress, WebDriver, WebServer } from '@millrace/core/http'
import type { SiteWorker } from '../site-app.ts'
import { warnOfCertificate } from '../routing/certificates.ts'
import type { Site } from './site.ts'

const HEADER_BYTES = 16_384
const IDLE_MS = 30_000
/** How often the certificate files are read again. */
const RENEW_MS = 60_000

export interface SiteListenerContext {
  readonly site: Site
  readonly driver: WebDriver
  /** The worker that gets the requests. */
  readonly worker: () => SiteWorker
  readonly log: Logger
  readonly clock: Clock
}

export interface SiteListenerSettings {
  readonly address: ServeAddress
  readonly maxConnections: number
  readonly pages: 'all' | 'public'
}

/** A server of a site with its certificate. A certificate replaced on disk is used within a minute. */
export class SiteListener {
  readonly #context: SiteListenerContext
  readonly #server: WebServer
  readonly #closing = new AbortController()

  private constructor(context: SiteListenerContext, server: WebServer) {
    this.#context = context
    this.#server = server
  }

  /** Resolves once it listens. Rejects with `PORT_IN_USE`, `SETTING_INVALID`. */
  static async open(context: SiteListenerContext, settings: SiteListenerSettings): Promise<SiteListener> {
    const { site, driver, clock, log } = context
    const entrance = site.entrance(settings.pages)
    site.certificates.check()
    const tls = site.certificates.server()
    const server = await driver.serve({
      fetch: (request, peer) => site.handle(request, context.worker(), peer, entrance),
      address: settings.address,
      limits: { headerBytes: HEADER_BYTES, idleMs: IDLE_MS, connections: settings.maxConnections },
      tls,
      clock,
      onError: (error) => log.debug({ error: error.message }, 'A connection to the site failed.'),
    })
    const listener = new SiteListener(context, server)
    if (tls === undefined) return listener
    if (server.scheme === 'https') void listener.#renew(tls.cert)
    else {
      await server.close(0)
      throw new MillraceError('SETTING_INVALID', `The web driver "${driver.name}" cannot serve over TLS (web.tls).`)
    }
    return listener
  }

  /** The port as bound. */
  get port(): number {
    return this.#server.port
  }

  get scheme(): 'http' | 'https' {
    return this.#server.scheme
  }

  async close(graceMs: number): Promise<void> {
    this.#closing.abort()
    await this.#server.close(graceMs)
  }

  /** Never rejects. */
  async #renew(first: string): Promise<void> {
    const { signal } = this.#closing
    const { log, clock, site } = this.#context
    const { certificates } = site
    let shown = first
    let fault = certificates.fault(clock.now())
    while (await slept(clock, signal)) {
      try {
        await certificates.refresh()
        const tls = certificates.server()
        if (signal.aborted || tls === undefined) continue
        if (tls.cert !== shown) {
          this.#server.renewTls(tls)
          shown = tls.cert
          log.info({}, 'The site shows its new certificate.')
        }
        const now = certificates.fault(clock.now())
        if (now !== undefined && now !== fault) warnOfCertificate(log, now)
        fault = now
      } catch (thrown) {
        log.warn({ error: errorText(thrown) }, 'The certificate of the site could not be renewed; the old one stays.')
      }
    }
  }
}

/** Waits a minute; false if the wait was aborted. */
async function slept(clock: Clock, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(RENEW_MS, signal)
    return true
  } catch {
    return false
  }
}

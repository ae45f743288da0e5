import {
  toError,
  type Logger,
  type WebDriver,
  type WebServer,
  type WorkerContext,
  type WorkerPart,
} from '@millrace/core'
import type { Site } from '../site/site.ts'
import type { SiteWorker } from '../site/site-deps.ts'
import { localUrl, ownAddress } from './own-address.ts'

const HEADER_BYTES = 16_384
const IDLE_MS = 30_000

export interface WebPartDeps {
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
  readonly advertise: string | undefined
  /** How long requests in flight may take when the worker stops. */
  readonly graceMs: number
}

/** A worker's web server. */
export interface WebPart extends WorkerPart {
  /** Host and port for other workers; `undefined` until it listens and after it has stopped. For the worker's `webAddress`. */
  address(): string | undefined
  /** For a person at this machine; `undefined` likewise. */
  url(): string | undefined
}

/**
 * Serves a site for one worker: it listens from `declare` on, so that it is seen to live while the broker is looked for,
 * and its address is known before the worker joins. `start` rejects with `PORT_IN_USE` or `SETTING_INVALID`.
 *
 * @example
 * const web = webPart({ site, driver: honoDriver(), worker: () => siteWorker, log }, { ...settings.web, graceMs: 10_000 })
 * createWorker({ …, parts: [agents, web], webAddress: () => web.address() })
 */
export function webPart(deps: WebPartDeps, settings: WebPartSettings): WebPart {
  const { site, driver, log } = deps
  let opening: Promise<WebServer> | undefined
  let server: WebServer | undefined
  return {
    name: 'web',
    declare(worker: WorkerContext) {
      const serving = driver.serve({
        fetch: (request, peer) => site.handle(request, deps.worker(), peer),
        address: settings,
        limits: { headerBytes: HEADER_BYTES, idleMs: IDLE_MS },
        clock: worker.clock,
        onError: (error) => log.debug({ error: error.message }, 'A connection to the site failed.'),
      })
      opening = serving
      serving.then(
        (opened) => {
          // It may have been stopped meanwhile.
          if (opening === serving) server = opened
        },
        (thrown: unknown) => worker.fail(toError(thrown)),
      )
    },
    async start() {
      await opening
      site.watch(deps.worker())
      if (server !== undefined) log.info({ url: this.url(), address: this.address() }, 'The site is served.')
    },
    ready() {},
    async stop() {
      const closing = opening
      opening = undefined
      server = undefined
      site.unwatch(deps.worker())
      const opened = await closing?.catch(told)
      await opened?.close(settings.graceMs)
      await site.close()
    },
    address: () => (server === undefined ? undefined : ownAddress({ ...settings, port: server.port })),
    url: () => (server === undefined ? undefined : localUrl({ ...settings, port: server.port })),
  }
}

/** The worker has been failed with it already. */
function told(): undefined {
  return undefined
}

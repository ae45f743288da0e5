import { type Clock, errorText, type Logger, type Scheduled } from '@millrace/core'
import { unavailable } from '../pages/page-error.ts'
import type { SiteWorker } from '../site-app.ts'
import { WatchStream } from './watch-stream.ts'

/** How often a watch says that it is alive while nothing changes: proxies close connections that are quiet for longer. */
export const HEARTBEAT_MS = 5_000

export interface WatchesOptions {
  /** Looked up on use: the app's settings come later. */
  readonly surroundings: { readonly clock: Pick<Clock, 'schedule'>; readonly log: Pick<Logger, 'warn'> }
  /** Watches of clients at the same time. */
  readonly most: () => number
}

/** What a watch is opened with. */
export interface WatchRequest {
  readonly worker: SiteWorker
  /** Aborts when the client is gone. */
  readonly client: AbortSignal
  /** Whether it is another worker's, which has counted it. */
  readonly isForwarded: boolean
  /** The text of its events. The signal aborts when the watch ends. */
  readonly texts: (signal: AbortSignal) => AsyncGenerator<string>
}

/** The open watches of a site. */
export class Watches {
  readonly #options: WatchesOptions
  readonly #open = new Map<WatchStream, WatchRequest>()
  #heartbeat: Scheduled | undefined
  #ofClients = 0

  constructor(options: WatchesOptions) {
    this.#options = options
  }

  /** How many are open, those of other workers among them. */
  get count(): number {
    return this.#open.size
  }

  /** Throws a `PageError` 503 when there are too many. */
  open(request: WatchRequest): Response {
    const most = this.#options.most()
    const counts = request.isForwarded ? 0 : 1
    if (this.#ofClients + counts > most) throw unavailable(`${most} watches are open already (web.maxWatches).`)
    this.#ofClients += counts
    const stream: WatchStream = new WatchStream(request, (failure) => {
      if (!this.#open.delete(stream)) return
      if (failure !== undefined)
        this.#options.surroundings.log.warn({ error: errorText(failure) }, 'A watch of a table has failed.')
      this.#ofClients -= counts
      if (this.#open.size === 0) this.#heartbeat?.cancel()
    })
    this.#open.set(stream, request)
    if (this.#open.size === 1) this.#scheduleHeartbeat()
    return stream.response()
  }

  /** Ends the watches of a worker that stops; their clients connect again. */
  end(worker: SiteWorker): void {
    for (const [stream, request] of [...this.#open]) if (request.worker === worker) stream.end()
  }

  #scheduleHeartbeat(): void {
    this.#heartbeat = this.#options.surroundings.clock.schedule(HEARTBEAT_MS, () => {
      this.#scheduleHeartbeat()
      for (const stream of this.#open.keys()) stream.beat()
    })
  }
}

import type { SiteDeps, SiteWorker } from '../site/site-deps.ts'
import { WorkerWatch } from './worker-watch.ts'

export interface WatchesDeps {
  readonly site: SiteDeps
  readonly inScope: <T>(worker: SiteWorker, work: () => T) => T
}

/** The watches over the workers of this process. A worker is watched from the moment its site is served, or its history is asked for. */
export class Watches {
  readonly #deps: WatchesDeps
  readonly #byWorker = new Map<SiteWorker, WorkerWatch>()

  constructor(deps: WatchesDeps) {
    this.#deps = deps
  }

  /** The watch over a worker, begun if there is none. */
  over(worker: SiteWorker): WorkerWatch {
    const existing = this.find(worker)
    if (existing !== undefined) return existing
    const { site, inScope } = this.#deps
    const watch = new WorkerWatch({ site, worker, inScope: (work) => inScope(worker, work) })
    this.#byWorker.set(worker, watch)
    worker.context.signal.addEventListener('abort', () => this.end(worker), { once: true })
    return watch
  }

  /** `undefined` when nobody has asked for it. */
  find(worker: SiteWorker): WorkerWatch | undefined {
    const watch = this.#byWorker.get(worker)
    // Its worker is gone, and it was not told.
    if (watch !== undefined && watch.listeners === 0 && isOver(worker)) this.end(worker)
    return this.#byWorker.get(worker)
  }

  end(worker: SiteWorker): void {
    this.#byWorker.get(worker)?.close()
    this.#byWorker.delete(worker)
  }
}

function isOver(worker: SiteWorker): boolean {
  const { status } = worker.stats()
  return status === 'stopped' || status === 'failed'
}

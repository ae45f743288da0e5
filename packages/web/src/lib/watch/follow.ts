import { backoffMs, type ErrorCode, errorText, isMillraceError } from '@millrace/core'
import type { PageContext } from '../pages/page-context.ts'
import { PageError, unavailable } from '../pages/page-error.ts'
import type { KeyRoute } from '../routing/key-route.ts'
import type { PeerRequest } from '../routing/worker-proxy.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'
import type { SiteWorkers } from '../site-workers.ts'
import { commentText, readEvents, type ServerEvent } from '@millrace/core/http'
import { HEARTBEAT_MS } from './watches.ts'

/** How long a follower waits before it looks again for the worker that has what is watched. */
const AGAIN = { firstMs: 20, mostMs: 1_000 }
/** A worker whose stream is quiet for so long is not there any more. */
const SILENT_MS = 2.5 * HEARTBEAT_MS

/** What watches work with. */
export interface FollowTools {
  readonly site: SiteApp
  readonly workers: SiteWorkers
  readonly route: KeyRoute
  readonly peers: { ask(request: PeerRequest): Promise<Response> }
}

/** A client's watch. */
export interface Followed {
  readonly c: PageContext
  /** The worker that was asked. */
  readonly worker: SiteWorker
  /** Aborts when the watch ends. */
  readonly signal: AbortSignal
  /** The last id that the client has; `undefined` for a new one. */
  readonly lastId: string | undefined
}

/**
 * Follows what moves from worker to worker: calls `attempt` until the signal aborts, and again a moment after it has ended.
 * An attempt ends when a worker has lost what it is asked for, or cannot be reached; a comment then says what the client
 * waits for. Rejects with what no other attempt would change.
 */
export async function* followed(
  { site, workers }: FollowTools,
  { signal, worker }: Pick<Followed, 'signal' | 'worker'>,
  attempt: (signal: AbortSignal) => AsyncGenerator<string>,
): AsyncGenerator<string> {
  const { clock, log } = site.surroundings
  let failures = 0
  let said = ''
  // A site without a listener is not told when its worker stops.
  while (!signal.aborted && workers.all().includes(worker)) {
    // Ends what an attempt still reads when it is over.
    const over = new AbortController()
    try {
      for await (const text of attempt(AbortSignal.any([signal, over.signal]))) {
        failures = 0
        said = ''
        yield text
      }
    } catch (thrown) {
      if (signal.aborted) return
      const reason = whyMoved(thrown)
      if (reason === undefined) throw thrown
      log.debug({ worker: worker.context.id, error: errorText(thrown) }, 'A watch looks for its rows again.')
      if (reason !== said) yield commentText(reason)
      said = reason
    } finally {
      over.abort(new Error('The attempt is over.'))
    }
    failures++
    // Rejects when the watch ends.
    await clock.sleep(backoffMs(failures, AGAIN, Math.random()), signal).catch(ignore)
  }
}

/** What a table says of rows that are not on this worker, or not any more. */
const MOVED: ReadonlySet<ErrorCode> = new Set(['PARTITION_NOT_LOCAL', 'NO_WORKER'])

/** Why another attempt may succeed; `undefined` if it would fail alike. */
function whyMoved(thrown: unknown): string | undefined {
  if (thrown instanceof PageError) return thrown.status === 503 ? thrown.message : undefined
  return isMillraceError(thrown) && MOVED.has(thrown.code) ? thrown.detail : undefined
}

/** A watch of another worker. */
export type PeerWatch = Pick<PeerRequest, 'worker' | 'member' | 'address' | 'path' | 'signal'>

/** The events of another worker's watch. Rejects with a `PageError` 503 when it ends or cannot be reached. */
export async function* peerEvents({ site, peers }: FollowTools, watch: PeerWatch): AsyncGenerator<ServerEvent> {
  const limitMs = site.surroundings.settings.web.routeTimeoutMs
  try {
    const response = await peers.ask({ ...watch, limitMs, idleMs: Math.max(SILENT_MS, limitMs) })
    if (!response.ok || response.body === null) {
      await response.body?.cancel()
      throw new Error(`it answered ${response.status}`)
    }
    yield* readEvents(response.body)
  } catch (thrown) {
    if (thrown instanceof PageError || watch.signal.aborted) throw thrown
    throw unavailable(`Worker "${watch.member}", which has some of the rows, does not answer.`, thrown)
  }
  throw unavailable(`Worker "${watch.member}" does not have the rows any more.`)
}

/** The items of an iterable of a worker's table, each read in the context of that worker. */
export async function* within<T>(
  workers: SiteWorkers,
  worker: SiteWorker,
  open: () => AsyncIterable<T>,
): AsyncGenerator<T> {
  const items = workers.within(worker, () => open()[Symbol.asyncIterator]())
  try {
    for (;;) {
      const { done, value } = await workers.within(worker, () => items.next())
      if (done === true) return
      yield value
    }
  } finally {
    await items.return?.()
  }
}

function ignore(): void {}

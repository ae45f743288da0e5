import { withTimeout, type Clock } from '@millrace/core'
import { PageError } from '../errors/page-error.ts'
import type { PageAnswer } from '../pages/page-context.ts'

export interface PageRunOptions {
  readonly clock: Pick<Clock, 'schedule'>
  readonly limitMs: number
  /** Aborts when the client is gone. Lives as long as the request. */
  readonly client: AbortSignal
  /** Aborts when the worker stops hard. Lives longer. */
  readonly worker: AbortSignal | undefined
}

/** Runs a page's function with its signal; throws a `PageError` 503 when it takes too long. */
export async function runPage(options: PageRunOptions, work: (signal: AbortSignal) => PageAnswer): Promise<Response> {
  const { clock, limitMs, client, worker } = options
  const controller = new AbortController()
  const clientGone = (): void => controller.abort(client.reason)
  const workerStops = (): void => controller.abort(worker?.reason)
  if (client.aborted) clientGone()
  else client.addEventListener('abort', clientGone, { once: true })
  worker?.addEventListener('abort', workerStops, { once: true })
  const answer = attempt(() => work(controller.signal))
  try {
    return await withTimeout(answer, limitMs, clock, () => {
      const late = new PageError(503, `The page took longer than ${limitMs} ms (web.requestTimeout).`)
      controller.abort(late)
      void answer.then(dropBody, ignore)
      return late
    })
  } finally {
    worker?.removeEventListener('abort', workerStops)
  }
}

async function attempt(work: () => PageAnswer): Promise<Response> {
  return work()
}

/** Lets go of what a body that nobody will read holds. */
export async function dropBody(response: Response): Promise<void> {
  if (!response.bodyUsed) await response.body?.cancel()
}

/** The client was told 503 already, and the log too. */
function ignore(): void {}

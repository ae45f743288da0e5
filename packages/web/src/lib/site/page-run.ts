import { withTimeout, type Clock } from '@millrace/core'
import { PageError } from '../pages/page-error.ts'
import type { PageAnswer } from '../pages/page-context.ts'

export interface PageRunOptions {
  readonly clock: Pick<Clock, 'schedule'>
  readonly limitMs: number
  /** Aborts when the client disconnects. Lives as long as the request. */
  readonly client: AbortSignal
  /** Aborts on a hard stop of the worker. Outlives requests, and many of them listen to it. */
  readonly worker: SharedSignal | undefined
}

/** Runs a page's function with its signal; throws a `PageError` 503 if it takes too long. */
export async function runPage(
  { clock, limitMs, client, worker }: PageRunOptions,
  work: (signal: AbortSignal) => PageAnswer,
): Promise<Response> {
  const controller = new AbortController()
  const clientGone = (): void => controller.abort(client.reason)
  if (client.aborted) clientGone()
  else client.addEventListener('abort', clientGone, { once: true })
  const leave = worker?.join(controller)
  const answer = attempt(() => work(controller.signal))
  try {
    return await withTimeout(answer, limitMs, clock, () => {
      const late = new PageError(503, `The page took longer than ${limitMs} ms (web.requestTimeout).`)
      controller.abort(late)
      void answer.then(dropBody, ignore)
      return late
    })
  } finally {
    leave?.()
  }
}

async function attempt(work: () => PageAnswer): Promise<Response> {
  return work()
}

/** Cancels a body that nobody will read, to free its resources. */
export async function dropBody(response: Response): Promise<void> {
  if (!response.bodyUsed) await response.body?.cancel()
}

/** The client already has its 503 and the log its line. */
function ignore(): void {}

/** A single listener on a long-lived signal: with one for each request, Node would warn of a leak. */
export class SharedSignal {
  readonly #signal: AbortSignal
  readonly #followers = new Set<AbortController>()

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener(
      'abort',
      () => {
        for (const follower of this.#followers) follower.abort(signal.reason)
      },
      { once: true },
    )
  }

  /** Aborts `follower` with the signal's reason, now or later, until the returned function is called. */
  join(follower: AbortController): () => void {
    if (this.#signal.aborted) follower.abort(this.#signal.reason)
    this.#followers.add(follower)
    return () => void this.#followers.delete(follower)
  }
}

import { MillraceError, toError } from '@millrace/core'
import type { CurrentEvent, WorkerContext } from '@millrace/worker'

export interface AskerOptions {
  readonly event: CurrentEvent
  readonly worker: WorkerContext
  /** The agent that is asked. */
  readonly agent: string
  /** Whether the reply comes from an event that this worker hands out, rather than from a channel of this process. */
  readonly isHandedOut: boolean
}

/**
 * An event that waits for a reply. The wait ends early when its task is lost, in a rebalance, and in a stop. The
 * request could not be handed out before this event ends, so the event fails and is handed out again, here or by the
 * next owner.
 */
export class Asker {
  readonly #options: AskerOptions
  readonly #draining: AbortSignal | undefined

  constructor(options: AskerOptions) {
    this.#options = options
    this.#draining = options.isHandedOut ? options.worker.draining : undefined
  }

  /** The reason to refuse the wait, if any. */
  ended(): Error | undefined {
    const { event } = this.#options
    if (event.signal.aborted) return toError(event.signal.reason)
    return this.#draining?.aborted === true && event.open ? this.#interrupt() : undefined
  }

  /** Calls `end` when the wait must end early; the returned function stops watching. */
  watch(end: (error: Error) => void): () => void {
    const { event } = this.#options
    const { signal } = event
    const lost = (): void => end(toError(signal.reason))
    // An ask that outlives its event blocks nothing.
    const drained = (): void => {
      if (event.open) end(this.#interrupt())
    }
    signal.addEventListener('abort', lost, { once: true })
    this.#draining?.addEventListener('abort', drained, { once: true })
    return () => {
      signal.removeEventListener('abort', lost)
      this.#draining?.removeEventListener('abort', drained)
    }
  }

  #interrupt(): MillraceError {
    const { event, agent } = this.#options
    event.defer()
    return new MillraceError(
      'ASK_INTERRUPTED',
      `Agent "${event.agent}" waited for a reply of agent "${agent}" when the worker had to give up its events; the event ${event.topic}/${event.partition}@${event.offset} is handed out again.`,
    )
  }
}

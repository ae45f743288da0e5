import { type AsyncHook, createHook } from 'node:async_hooks'
import type { Clock } from '@millrace/core'
import type { CurrentEvent } from '../contracts/event.ts'
import type { ContextStorage } from '../contracts/worker-context.ts'

/** An event that may block the event loop; it is followed while it is in flight. */
export interface FollowedEvent {
  readonly open: boolean
}

export interface ContextTraceOptions {
  readonly clock: Pick<Clock, 'monotonic'>
  /** The storage that holds the event in whose context code runs; without it nothing is found. */
  readonly contexts: ContextStorage | undefined
  /** How long a step of code may take before it counts as a block, in milliseconds. */
  readonly limitMs: number
}

/**
 * Finds the event in whose context the event loop was blocked, even if its handler had yielded before. While it is on,
 * each promise and timer of the process costs two extra calls, so it is on only while events are followed.
 */
export class ContextTrace {
  readonly #options: ContextTraceOptions
  readonly #followed = new Set<FollowedEvent>()
  #hook: AsyncHook | undefined
  #beganMs = Infinity
  #event: CurrentEvent | undefined
  #found: CurrentEvent | undefined

  constructor(options: ContextTraceOptions) {
    this.#options = options
  }

  follow(event: FollowedEvent): void {
    if (this.#options.contexts === undefined) return
    this.#followed.add(event)
    this.#hook ??= createHook({ before: () => this.#begins(), after: () => this.#ends() })
    this.#hook.enable()
  }

  /** The event that was found since the last call. */
  take(): CurrentEvent | undefined {
    if (this.#followed.size === 0) return undefined
    const found = this.#found
    this.#found = undefined
    for (const event of this.#followed) if (!event.open) this.#followed.delete(event)
    if (this.#followed.size === 0) this.#hook?.disable()
    return found
  }

  close(): void {
    this.#followed.clear()
    this.#hook?.disable()
  }

  /** Notes the context at the beginning of a step, because at its end it may be that of the next event. */
  #begins(): void {
    this.#event = this.#options.contexts?.getStore()?.event
    this.#beganMs = this.#options.clock.monotonic()
  }

  #ends(): void {
    if (this.#options.clock.monotonic() - this.#beganMs >= this.#options.limitMs) this.#found = this.#event
    this.#beganMs = Infinity
  }
}

import { type Clock, formatDuration, MillraceError, type Scheduled } from '@millrace/core'
import type { Asker } from './asker.ts'

/**
 * The rejection of `ask` when the asked agent failed: `message` is the agent's own error message, unchanged. Its
 * `code` is `ASK_FAILED`.
 *
 * @example
 * await payments.ask(order).catch((error) => { if (error instanceof AskFailedError) console.log(error.agent, error.message) })
 */
export class AskFailedError extends MillraceError {
  /** The agent that was asked. */
  readonly agent: string
  /** Code of the agent's error if it came from Millrace, otherwise the name of its class. */
  readonly reason: string

  constructor({ agent, reason, said }: { agent: string; reason: string; said: string }, cause?: Error) {
    super('ASK_FAILED', said, cause === undefined ? undefined : { cause })
    this.message = said
    this.agent = agent
    this.reason = reason
  }
}

interface PendingReply {
  readonly agent: string
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly timer: Scheduled
  readonly unwatch: (() => void) | undefined
}

export interface Expectation {
  readonly agent: string
  readonly timeoutMs: number
  /** The event that waits for the reply, if any. */
  readonly asker?: Asker | undefined
}

/** Pending replies by correlation id; each wait has a limit. */
export class PendingReplies {
  readonly #clock: Clock
  readonly #pending = new Map<string, PendingReply>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#pending.size
  }

  /** Rejects with `ASK_TIMEOUT` at the limit, and earlier if the asker's wait ends. */
  expect(correlationId: string, { agent, timeoutMs, asker }: Expectation): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.schedule(timeoutMs, () => {
        this.reject(
          correlationId,
          new MillraceError('ASK_TIMEOUT', `Agent "${agent}" did not answer within ${formatDuration(timeoutMs)}.`),
        )
      })
      const unwatch = asker?.watch((error) => this.reject(correlationId, error))
      this.#pending.set(correlationId, { agent, resolve, reject, timer, unwatch })
    })
  }

  resolve(correlationId: string, value: unknown): void {
    this.#end(correlationId)?.resolve(value)
  }

  reject(correlationId: string, error: unknown): void {
    this.#end(correlationId)?.reject(error)
  }

  /** The agent failed: rejects with the text of its error. */
  fail(correlationId: string, failure: { readonly reason: string; readonly said: string }): void {
    const agent = this.#pending.get(correlationId)?.agent
    if (agent !== undefined) this.reject(correlationId, new AskFailedError({ agent, ...failure }))
  }

  rejectAll(error: unknown): void {
    for (const correlationId of [...this.#pending.keys()]) this.reject(correlationId, error)
  }

  #end(correlationId: string): PendingReply | undefined {
    const pending = this.#pending.get(correlationId)
    pending?.timer.cancel()
    pending?.unwatch?.()
    this.#pending.delete(correlationId)
    return pending
  }
}

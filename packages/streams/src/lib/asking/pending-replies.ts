import { type Clock, formatDuration, MillraceError, type Scheduled } from '@millrace/core'

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly timer: Scheduled
}

export interface Expectation {
  readonly agent: string
  readonly timeoutMs: number
}

/** Replies that somebody waits for, by correlation id; each wait has a limit. */
export class PendingReplies {
  readonly #clock: Clock
  readonly #pending = new Map<string, Pending>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#pending.size
  }

  /** Rejects with `ASK_TIMEOUT` when the time is over. */
  expect(correlationId: string, { agent, timeoutMs }: Expectation): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.schedule(timeoutMs, () => {
        this.reject(
          correlationId,
          new MillraceError('ASK_TIMEOUT', `Agent "${agent}" did not answer within ${formatDuration(timeoutMs)}.`),
        )
      })
      this.#pending.set(correlationId, { resolve, reject, timer })
    })
  }

  resolve(correlationId: string, value: unknown): void {
    this.#end(correlationId)?.resolve(value)
  }

  reject(correlationId: string, error: unknown): void {
    this.#end(correlationId)?.reject(error)
  }

  rejectAll(error: unknown): void {
    for (const correlationId of [...this.#pending.keys()]) this.reject(correlationId, error)
  }

  #end(correlationId: string): Pending | undefined {
    const pending = this.#pending.get(correlationId)
    pending?.timer.cancel()
    this.#pending.delete(correlationId)
    return pending
  }
}

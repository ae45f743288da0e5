/** The time of one event whose agent has a timeout. */
export class EventTimer {
  /** When the handler got the event, on the monotonic clock. */
  sinceMs = 0
  readonly #timeout = new AbortController()
  #signal: AbortSignal | undefined

  /** Aborts with this signal, and when the time is over. */
  signalWith(signal: AbortSignal): AbortSignal {
    return (this.#signal ??= AbortSignal.any([signal, this.#timeout.signal]))
  }

  abort(error: Error): void {
    this.#timeout.abort(error)
  }
}

/** One listener on a signal that outlives what follows it: a listener for each request would be taken for a leak. */
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

  /** Aborts `follower` with the signal's reason, now or later, until the function returned is called. */
  join(follower: AbortController): () => void {
    if (this.#signal.aborted) follower.abort(this.#signal.reason)
    this.#followers.add(follower)
    return () => void this.#followers.delete(follower)
  }
}

/** Calls of a listener, one at a time even when one of them is late. */
export class ListenerCalls {
  #tail: Promise<void> = Promise.resolve()

  /** Calls when the calls before are through; after one that was rejected it is rejected too, and does not call. */
  tell(call: () => Promise<void>): Promise<void> {
    const told = this.#tail.then(call)
    // Whoever waits for it hears of a rejection; when the consumer is closed nobody does.
    told.catch(() => undefined)
    this.#tail = told
    return told
  }
}

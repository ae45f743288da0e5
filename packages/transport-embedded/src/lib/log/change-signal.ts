import { deferred, type Deferred } from '@millrace/core'

/**
 * Wakes everything that waits for the next change. Call `next()` before reading the state, and await it only if the
 * state is not yet as needed, so that no change is missed.
 */
export class ChangeSignal {
  readonly #listeners = new Set<() => void>()
  #waiting: Deferred<void> | undefined

  next(): Promise<void> {
    this.#waiting ??= deferred<void>()
    return this.#waiting.promise
  }

  /** Called at each change until the returned function is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  notify(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resolve()
    for (const listener of this.#listeners) listener()
  }
}

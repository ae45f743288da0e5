import { type Deferred, deferred } from '@millrace/core'

/** Lets one reader wait for news. However much happens before it looks, it is told once: nothing is kept for it. */
export class News {
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = (): void => this.#wake()
  #waiting: Deferred<void> | undefined
  #hasNews = false

  /** `wait` rejects with the reason of `signal`. */
  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  tell(): void {
    this.#hasNews = true
    this.#wake()
  }

  /** Resolves when there has been news since it last resolved. Rejects with the signal's reason. */
  async wait(): Promise<void> {
    this.#signal?.throwIfAborted()
    if (!this.#hasNews) {
      this.#waiting = deferred<void>()
      await this.#waiting.promise
      this.#signal?.throwIfAborted()
    }
    this.#hasNews = false
  }

  /** Lets go of the signal. */
  close(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  #wake(): void {
    this.#waiting?.resolve()
    this.#waiting = undefined
  }
}

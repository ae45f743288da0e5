import { deferred, type Deferred } from '@millrace/core'

/** Wakes one waiter; a call that comes before the wait is not lost. */
export class Wakeup {
  #waiter: Deferred<void> | undefined
  #pending = false

  wake(): void {
    const waiter = this.#waiter
    if (waiter === undefined) this.#pending = true
    else {
      this.#waiter = undefined
      waiter.resolve()
    }
  }

  wait(): Promise<void> {
    if (this.#pending) {
      this.#pending = false
      return Promise.resolve()
    }
    this.#waiter ??= deferred<void>()
    return this.#waiter.promise
  }
}

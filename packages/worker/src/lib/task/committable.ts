import { type Deferred, deferred } from '@millrace/core'

/**
 * Whether a task with transactions can be committed. Sends of an unfinished event may already be in its transaction,
 * and must be aborted if the event fails. So nothing of the task is committed until that event has finished.
 */
export class Committable {
  #spilled = 0
  #waiting: Deferred<void> | undefined = undefined

  get now(): boolean {
    return this.#spilled === 0
  }

  /** Sends of an event in flight have gone out. */
  spillBegan(): void {
    this.#spilled++
  }

  spillEnded(): void {
    this.#spilled--
    if (this.#spilled === 0) this.stopWaiting()
  }

  /** Resolves when the task can be committed, or on `stopWaiting`. */
  async wait(): Promise<void> {
    if (!this.now) await (this.#waiting ??= deferred<void>()).promise
  }

  /** Ends all waits, because the task is lost or the limit for events in flight has passed. */
  stopWaiting(): void {
    this.#waiting?.resolve()
    this.#waiting = undefined
  }
}

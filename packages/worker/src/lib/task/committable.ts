import { type Deferred, deferred } from '@millrace/core'

/**
 * Whether a task with transactions can be committed. Sends of an unfinished event may be in its transaction already, to be
 * taken back if the event fails: until that has finished, nothing of the task is committed.
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

  /** Resolves when it can be committed, or is not to be waited for any longer. */
  async wait(): Promise<void> {
    if (!this.now) await (this.#waiting ??= deferred<void>()).promise
  }

  /** The task is lost, or events in flight have to end anyway. */
  stopWaiting(): void {
    this.#waiting?.resolve()
    this.#waiting = undefined
  }
}

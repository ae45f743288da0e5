import { type Deferred, deferred } from '@millrace/core'

/** The task to which the records belong. */
export interface EpochOwner {
  readonly id: string
  /** Called when another partition accepts no records although records of the task wait for it. */
  delayed(): void
  /** Called when one of those partitions accepts records again. */
  delayOver(): void
}

/**
 * The sends of one task between two commits. A commit seals the epoch and waits until the broker has acknowledged every
 * send. Later sends belong to the next epoch, and the commit does not wait for them.
 */
export class Epoch {
  readonly owner: EpochOwner | undefined
  #before: Epoch | undefined
  #pending = 0
  #sealed: Deferred<void> | undefined
  #error: Error | undefined
  #abandoned = false

  /** `before` is the task's epoch before this one. */
  constructor(before?: Epoch, owner?: EpochOwner) {
    this.#before = before
    this.owner = owner
  }

  /** The task is lost: unsent records are dropped. */
  get abandoned(): boolean {
    return this.#abandoned
  }

  /** Why the epoch can never be complete. */
  get error(): Error | undefined {
    return this.#error
  }

  get pending(): number {
    return this.#pending
  }

  added(): void {
    this.#pending++
  }

  settled(): void {
    this.#pending--
    if (this.#pending === 0) this.#sealed?.resolve()
  }

  /** Called when a send was refused or given up: the epoch can never be complete. */
  failed(error: Error): void {
    this.#pending--
    this.#error ??= error
    this.#sealed?.reject(this.#error)
  }

  abandon(error: Error): void {
    this.#abandoned = true
    this.#error ??= error
    this.#sealed?.reject(this.#error)
  }

  /**
   * Resolves when everything is acknowledged; rejects when something never will be. Nothing may be added afterwards.
   * The outcome of the epoch before must be known, because the positions of this one are beyond what that one has lost.
   */
  seal(): Promise<void> {
    this.#error ??= this.#before?.error
    this.#before = undefined
    const sealed = (this.#sealed ??= deferred<void>())
    // A commit that was given up no longer listens; the failure also reaches the task or the worker.
    sealed.promise.catch(ignoreUnheard)
    if (this.#error !== undefined) sealed.reject(this.#error)
    else if (this.#pending === 0) sealed.resolve()
    return sealed.promise
  }
}

function ignoreUnheard(): void {}

import { type Deferred, deferred } from '@millrace/core'

/** The task whose records they are. */
export interface EpochOwner {
  readonly id: string
  /** Another partition takes no records just now though records of the task wait for it. */
  delayed(): void
  /** One of those partitions takes records again. */
  delayOver(): void
}

/**
 * The sends of one task from one commit to the next. A commit seals it and waits until the broker has acknowledged
 * every one: later sends belong to the next epoch, and the commit does not wait for them.
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

  /** Its task is lost: unsent records are dropped. */
  get abandoned(): boolean {
    return this.#abandoned
  }

  /** Why it can never be complete. */
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

  /** A send was refused or given up: the epoch can never be complete. */
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
   * Resolves when all is acknowledged; rejects when something never will be. Nothing may be added afterwards. The
   * outcome of the epoch before must be known: this one's positions are past what that one has lost.
   */
  seal(): Promise<void> {
    this.#error ??= this.#before?.error
    this.#before = undefined
    const sealed = (this.#sealed ??= deferred<void>())
    // A commit that was given up does not listen any more; the failure also reaches the task or the worker.
    sealed.promise.catch(ignoreUnheard)
    if (this.#error !== undefined) sealed.reject(this.#error)
    else if (this.#pending === 0) sealed.resolve()
    return sealed.promise
  }
}

function ignoreUnheard(): void {}

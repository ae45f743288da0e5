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

/**
 * The loops of one handler, each known by its wake-up, take turns: whatever their number, one event at a time is in hand,
 * as in a handler with one loop. Who waits longest is next.
 */
export class Turns {
  #holder: Wakeup | undefined
  readonly #waiting = new Set<Wakeup>()

  /** Whether it has the turn, now or already; if not, it is woken when it has. */
  take(loop: Wakeup): boolean {
    this.#holder ??= loop
    if (this.#holder === loop) return true
    this.#waiting.add(loop)
    return false
  }

  /** Whether it is woken when it has the turn. */
  isWaiting(loop: Wakeup): boolean {
    return this.#waiting.has(loop)
  }

  /** It has nothing in hand, and nothing on its way. */
  end(loop: Wakeup): void {
    if (this.#holder !== loop) return
    this.#holder = undefined
    // Mostly there is one loop, and this is called for each event: taking the first of a set is not for nothing.
    if (this.#waiting.size > 0) this.#wakeNext()
  }

  #wakeNext(): void {
    const [next] = this.#waiting
    this.#holder = next
    if (next === undefined) return
    this.#waiting.delete(next)
    next.wake()
  }

  /** The run is over: all who wait may see that. */
  close(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const loop of waiting) loop.wake()
  }
}
